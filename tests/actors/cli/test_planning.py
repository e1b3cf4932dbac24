"""The demo is worked out before anything starts: a cloud that has too little for it is refused."""

from __future__ import annotations

from typing import Final

import pytest

from actors.cli.planning import plan
from actors.ops.checks import SettingsError
from actors.ops.settings import parse_cloud
from tests.actors.cli.clouds import CLOUD

#: What is changed in a good file, and what must be said to be short.
SHORT: Final = {
    "memory": ("memory_mb = 1024", "memory_mb = 20000", "memory_mb 20000 wanted, 8192 free"),
    "processors": ("vcpus = 1\nmemory_mb = 512", "vcpus = 9\nmemory_mb = 512", "vcpus 9 wanted, 8 free"),
    "disk": ("disk_gb = 10\n", "disk_gb = 101\n", "disk_gb 101 wanted, 100 free"),
    "volumes": ('[[volumes]]\nname = "extra"\nsize_gb = 1\n', "", "volumes: the demo uses 3, and there are 2"),
    "images": ('[[images]]\nname = "cirros"\nsize_bytes = 4096\n', "", "images: the demo uses 1, and there are 0"),
}


def test_the_named_host_is_not_the_one_that_would_be_chosen() -> None:
    """The host that a server is sent to by its name is the smallest outside of its cell."""
    assert plan(parse_cloud(CLOUD.encode())).named_host == "h3"


@pytest.mark.parametrize(("good", "bad", "said"), SHORT.values(), ids=SHORT)
def test_a_cloud_without_capacity_is_refused(good: str, bad: str, said: str) -> None:
    """The message names what is short, how much is wanted, and how much there is."""
    assert good in CLOUD
    with pytest.raises(SettingsError) as refused:
        plan(parse_cloud(CLOUD.replace(good, bad, 1).encode()))
    assert said in str(refused.value)


@pytest.mark.parametrize(("weight", "is_refused"), [(1, True), (0, True), (-1, False)])
def test_a_cloud_whose_moves_might_stay_in_their_cell_is_refused(weight: int, *, is_refused: bool) -> None:
    """Where a cell has two hosts, the demo would not show what it is there to show."""
    near = CLOUD.replace('cell = "api!eu"\nvcpus', 'cell = "api!us"\nvcpus')
    text = f"{near}\n[moves]\nown_cell_weight = {weight}\n"
    if is_refused:
        with pytest.raises(SettingsError, match=r"moves\.own_cell_weight: it must be negative .*: api!us has several"):
            plan(parse_cloud(text.encode()))
    else:
        assert plan(parse_cloud(text.encode())).named_host
