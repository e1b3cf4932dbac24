"""SIGHUP: what may change is taken up, all else is named and left, and a file that is no good changes nothing."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Final

import anyio
import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.accounts import MEMORY
from actors.cli.reloading import Reload
from actors.cli.serving import serve
from actors.deployment import Deployment, Duty
from actors.ops.changes import changed, with_live
from actors.ops.events import MemoryEvents
from actors.ops.settings import Cloud, declared, parse_cloud
from tests.actors.cli.clouds import CLOUD

DEPLOYMENT: Final = '\n[deployment]\nwire = "amqp://u:p@h/"\ndirectory = "data"\n'
OLD: Final = parse_cloud((CLOUD + DEPLOYMENT).encode())
#: A change of each of some settings, and whether a running process takes it up.
CHANGES: Final = {
    ("moves.confirm_after_s", "[moves]\nconfirm_after_s = 9"): True,
    ("servers.reclaim_after_s", "[servers]\nreclaim_after_s = 9"): True,
    ("scheduler.retries", "[scheduler]\nretries = 3"): True,
    ("upgrade.pin", "[upgrade]\npin = 1"): True,
    ("tree.announce_s", "[tree]\nannounce_s = 9"): False,
    ("conductors", "conductors = 2"): False,
    ("deployment.neighbour_per_s_max", "neighbour_per_s_max = 9"): True,
    ("deployment.prefix", 'prefix = "other"'): False,
}  # fmt: skip


def cloud_with(changes: set[tuple[str, str]]) -> Cloud:
    """Read the file with these changes in it."""
    own = [text for where, text in sorted(changes) if where.startswith("deployment.")]
    top = [text for where, text in sorted(changes) if "." not in where]
    tables = [text for where, text in sorted(changes) if "." in where and not where.startswith("deployment.")]
    return parse_cloud("\n".join([*top, CLOUD, *tables, DEPLOYMENT, *own]).encode())


@pytest.fixture
def anyio_backend() -> str:
    """Signals need a real loop."""
    return "asyncio"


@given(chosen=st.sets(st.sampled_from(sorted(CHANGES))))
def test_what_may_change_is_taken_up_and_all_else_is_named(chosen: set[tuple[str, str]]) -> None:
    """Together they are all that was changed, each in one of both."""
    new = cloud_with(chosen)
    made = with_live(OLD, new)
    assert set(changed(OLD, made)) == {where for where, text in chosen if CHANGES[where, text]}
    assert set(changed(made, new)) == {where for where, text in chosen if not CHANGES[where, text]}


def test_only_settings_of_tables_are_live() -> None:
    """So that each has one value for a process."""
    assert all(len(setting.names) == 2 for setting in declared() if setting.about.is_live)


@pytest.mark.anyio
async def test_a_reload_tells_what_it_did() -> None:
    """What it has taken up it does not take up again; what needs a restart is named each time."""
    events, taken = MemoryEvents(), list[Cloud]()
    readings = [cloud_with(set(CHANGES)), cloud_with(set(CHANGES)), None]

    def reread() -> Cloud:
        found = readings.pop(0)
        return found or parse_cloud(CLOUD.replace("vcpus = 8", "vcpus = 0").encode())

    async def tune(cloud: Cloud) -> None:
        taken.append(cloud)

    reload = Reload(OLD, reread, events)
    await reload.run()
    assert (taken, len(readings)) == ([], 3)  # Nobody is there yet to take anything up.
    reload.tune = tune
    for _ in range(3):
        await reload.run()
    named = list(events.recent)
    assert [name for name, _ in named] == [
        "settings_read", *["setting_needs_restart"] * 3, "settings_read", *["setting_needs_restart"] * 3,
        "settings_refused",
    ]  # fmt: skip
    assert named[0][1]["taken_up"] == tuple(
        setting.path
        for setting in declared()
        if any(where == setting.path and live for (where, _), live in CHANGES.items())
    )
    assert named[4][1]["taken_up"] == ()
    assert [cloud.moves.confirm_after_s for cloud in taken] == [9, 9]
    assert OLD.deployment is not None
    assert taken[0].deployment == attrs.evolve(OLD.deployment, neighbour_per_s_max=9)


@pytest.mark.anyio
async def test_a_process_that_serves_reads_its_settings_again_at_sighup(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the real signal, and goes on; the next signal to end ends it."""
    deployment = Deployment(cloud=OLD, wire=MEMORY, directory=tmp_path, prefix="p")
    tasks = tuple(
        task for task in deployment.tasks() if task.cell == OLD.root and task.duty in {Duty.CELL, Duty.CONDUCTOR}
    )
    ready, read = anyio.Event(), anyio.Event()

    def reread() -> Cloud:
        read.set()
        return cloud_with(set(CHANGES))

    async with anyio.create_task_group() as group:

        async def serving() -> None:
            await serve(deployment, tasks, has_processes=False, ready=ready.set, reread=reread)

        group.start_soon(serving)
        await ready.wait()
        os.kill(os.getpid(), signal.SIGHUP)
        await read.wait()
        os.kill(os.getpid(), signal.SIGTERM)
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [each["event"] for each in told if each["event"].startswith("setting")] == [
        "settings_read", *["setting_needs_restart"] * 3,
    ]  # fmt: skip
    assert "conductors" in [each.get("setting") for each in told]
