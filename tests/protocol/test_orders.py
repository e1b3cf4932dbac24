"""What an order may not even say."""

import pytest

from protocol.errors import InvalidValue
from protocol.messages.orders import ChangeVolume
from protocol.messages.servers import Origin
from protocol.states import Goal

ORIGIN = Origin(request_id="req-1", user="u", project="p")


@pytest.mark.parametrize(
    ("goal", "replacement"),
    [(Goal.SWAP, ""), (Goal.SWAP, "v1"), (Goal.ATTACH, "v2"), (Goal.DETACH, "v2"), (Goal.START, "")],
)
def test_a_swap_and_nothing_else_names_another_volume(goal: Goal, replacement: str) -> None:
    """None, the same one, and one that belongs to no swap are refused; so is what is no change of volumes."""
    with pytest.raises(InvalidValue):
        ChangeVolume(server="s1", goal=goal, volume="v1", device="", origin=ORIGIN, replacement=replacement)


def test_a_swap_is_for_another_volume() -> None:
    """And an attach or a detach for none."""
    for goal, replacement in ((Goal.SWAP, "v2"), (Goal.ATTACH, ""), (Goal.DETACH, "")):
        order = ChangeVolume(server="s1", goal=goal, volume="v1", device="", origin=ORIGIN, replacement=replacement)
        assert order.replacement == replacement
