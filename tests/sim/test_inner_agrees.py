"""The inner level against the real actors: the same operations leave the same, and their journals tell the same."""

from __future__ import annotations

from typing import Any, Final

import pytest

from protocol.invariants import violations
from sim.cases.layout import Layout
from sim.cases.workload import Act, Op
from tests.sim.both_levels import on_the_inner_level, on_the_loop

CREATED: Final = {"host": "h1", "volume": "v1"}
FROM_A_VOLUME: Final = {"host": "h1", "volume": "v1", "is_volume_backed": True}


def story(*acts: tuple[Act, dict[str, Any]]) -> tuple[Op, ...]:
    """Write operations on one server, in order."""
    return tuple(Op(name=f"op{number}", server="s1", act=act, **fields) for number, (act, fields) in enumerate(acts))


STORIES: Final = {
    "resized": story((Act.CREATE, CREATED), (Act.RESIZE, {"host": "h4"})),
    "confirmed": story((Act.CREATE, CREATED), (Act.RESIZE, {"host": "h4"}), (Act.CONFIRM, {})),
    "reverted": story((Act.CREATE, CREATED), (Act.RESIZE, {"host": "h4"}), (Act.REVERT, {})),
    "stopped": story(
        (Act.CREATE, {"host": "h1"}), (Act.STOP, {}), (Act.MIGRATE, {"host": "h3"}), (Act.REVERT, {}), (Act.START, {}),
        (Act.REBOOT, {}), (Act.MIGRATE, {}), (Act.CONFIRM, {}),
    ),
    "attached": story(
        (Act.CREATE, CREATED), (Act.ATTACH, {"volume": "v2", "device": "/dev/vdc"}), (Act.RESIZE, {}),
        (Act.ATTACH, {"volume": "v3", "device": "/dev/vdd"}), (Act.DETACH, {"volume": "v1"}), (Act.REVERT, {}),
    ),
    "swapped": story(
        (Act.CREATE, CREATED), (Act.SWAP, {"volume": "v1", "replacement": "v2"}), (Act.RESIZE, {}),
        (Act.SWAP, {"volume": "v2", "replacement": "v3"}), (Act.SWAP, {"volume": "v3", "replacement": "v1"}),
        (Act.REVERT, {}),
    ),
    "volume-backed": story(
        (Act.CREATE, FROM_A_VOLUME), (Act.RESIZE, {}), (Act.REVERT, {}), (Act.RESIZE, {}), (Act.CONFIRM, {})
    ),
    "held": story(
        (Act.CREATE, CREATED), (Act.PAUSE, {}), (Act.STOP, {}), (Act.UNPAUSE, {}), (Act.SUSPEND, {}),
        (Act.RESIZE, {"host": "h4"}), (Act.RESUME, {}), (Act.SUSPEND, {}), (Act.SOFT_DELETE, {}), (Act.RESUME, {}),
        (Act.RESTORE, {}), (Act.STOP, {}), (Act.SOFT_DELETE, {}), (Act.RESTORE, {}), (Act.PAUSE, {}),
        (Act.SOFT_DELETE, {}),
    ),
    "imaged": story(
        (Act.CREATE, CREATED), (Act.SNAPSHOT, {}), (Act.BACKUP, {}), (Act.BACKUP, {"backup_type": "weekly"}),
        (Act.STOP, {}), (Act.BACKUP, {}), (Act.SNAPSHOT, {}), (Act.BACKUP, {"rotation": 2}),
        (Act.RESIZE, {"host": "h4"}), (Act.SNAPSHOT, {}), (Act.CONFIRM, {}), (Act.BACKUP, {}),
    ),
    "rebuilt": story(
        (Act.CREATE, CREATED), (Act.SNAPSHOT, {}), (Act.REBUILD, {"image": "image-op1"}), (Act.REBUILD, {}),
        (Act.REBUILD, {"image": "nowhere"}), (Act.STOP, {}), (Act.REBUILD, {"image": "image-op1"}), (Act.START, {}),
        (Act.RESIZE, {"host": "h4"}), (Act.REBUILD, {}), (Act.REVERT, {}), (Act.REBUILD, {}),
    ),
    "migrated live": story(
        (Act.CREATE, CREATED), (Act.LIVE_MIGRATE, {}), (Act.LIVE_MIGRATE, {"host": "h1"}),
        (Act.LIVE_MIGRATE, {"host": "h4"}), (Act.PAUSE, {}), (Act.LIVE_MIGRATE, {}), (Act.UNPAUSE, {}),
        (Act.ATTACH, {"volume": "v2", "device": "/dev/vdc"}), (Act.LIVE_MIGRATE, {}), (Act.DETACH, {"volume": "v1"}),
        (Act.RESIZE, {"host": "h4"}), (Act.REVERT, {}), (Act.REBUILD, {}), (Act.LIVE_MIGRATE, {}),
    ),
    "from a volume": story(
        (Act.CREATE, FROM_A_VOLUME), (Act.LIVE_MIGRATE, {}), (Act.REBUILD, {}), (Act.SNAPSHOT, {}), (Act.SUSPEND, {}),
        (Act.RESUME, {}), (Act.LIVE_MIGRATE, {}), (Act.SOFT_DELETE, {}), (Act.RESTORE, {}),
    ),
    "wired": story(
        (Act.CREATE, CREATED), (Act.RESET_NETWORK, {}), (Act.INJECT_NETWORK_INFO, {}), (Act.REBOOT, {"is_hard": True}),
        (Act.STOP, {}), (Act.REBOOT, {}), (Act.REBOOT, {"is_hard": True}), (Act.RESIZE, {"host": "h3"}),
        (Act.RESET_NETWORK, {}), (Act.CONFIRM, {}),
    ),
    "gone": story(
        (Act.CREATE, CREATED), (Act.SNAPSHOT, {}), (Act.SOFT_DELETE, {}), (Act.DELETE, {}), (Act.RESTORE, {})
    ),
    "refused": story(
        (Act.CREATE, {"host": "h1"}), (Act.CONFIRM, {}), (Act.RESIZE, {"host": "h2"}), (Act.START, {}),
        (Act.ATTACH, {"volume": "v1"}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STORIES)
def test_both_levels_leave_the_same_rows_and_tell_the_same_in_their_journals(name: str) -> None:
    """Times apart, every row of every store, every guest, disk and volume, and every outcome of a step are equal."""
    inner, outer = on_the_inner_level(STORIES[name], Layout()), on_the_loop(STORIES[name], Layout())
    assert inner.rows == outer.rows
    assert inner.journals == outer.journals
    assert len(inner.journals) == len(STORIES[name])


@pytest.mark.parametrize("name", STORIES)
def test_what_the_inner_level_leaves_keeps_every_promise(name: str) -> None:
    """The invariants at rest hold on its truth, which has rows, guests and memories to judge."""
    truth = on_the_inner_level(STORIES[name], Layout()).truth
    assert violations(truth, is_at_rest=True) == ()
    assert bool(truth.guests) is (name != "gone")
    assert any(cell.rows for cell in truth.cells)
