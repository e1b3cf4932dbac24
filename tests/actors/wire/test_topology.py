"""Names of queues in a broker are ones that it takes, and no two queues have the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp.commands import Queue as Amqp

from actors.kernel.ports import Queue
from actors.wire.topology import QueueType, Topology, dead_letter_queue
from protocol.cell_path import DEPTH_MAX, MAILBOX, NAME, Address, CellPath
from protocol.errors import InvalidName

prefixes = st.from_regex(r"[a-c][a-c_-]{0,3}", fullmatch=True)
letters = st.sampled_from("ab.-_")
names = st.text(letters, min_size=1, max_size=3).filter(lambda text: NAME.fullmatch(text) is not None)
mailboxes = st.text(st.sampled_from("ab.:!-"), min_size=1, max_size=4).filter(
    lambda text: MAILBOX.fullmatch(text) is not None
)
short_cells = st.lists(names, min_size=1, max_size=3).map(lambda parts: CellPath(tuple(parts)))
long_cells = st.builds(
    lambda name, depth: CellPath((name.ljust(63, "x"),) * depth), names, st.integers(min_value=1, max_value=DEPTH_MAX)
)
cells = short_cells | long_cells
queues = st.builds(Queue, cells, mailboxes) | cells.map(dead_letter_queue)


@given(prefix=prefixes, queue=queues)
def test_a_name_is_one_that_amqp_takes(prefix: str, queue: Queue) -> None:
    """Whatever cells and mailboxes may be called, the client library and the broker accept the queue's name."""
    name = Topology(prefix).name(queue)
    assert len(name.encode()) <= 255
    Amqp.Declare(queue=name).validate()


@given(one=st.tuples(prefixes, queues), other=st.tuples(prefixes, queues))
def test_different_queues_have_different_names(one: tuple[str, Queue], other: tuple[str, Queue]) -> None:
    """Names under one prefix or two, long or short, of mailboxes or dead letters, never collide."""
    is_same_name = Topology(one[0]).name(one[1]) == Topology(other[0]).name(other[1])
    assert is_same_name == (one == other)


@given(cell=cells)
def test_no_mailbox_is_called_as_the_dead_letters_are(cell: CellPath) -> None:
    """Nobody can address the queue of dead letters."""
    with pytest.raises(InvalidName):
        Address(cell, dead_letter_queue(cell).name)


def test_a_name_can_be_read_by_an_operator() -> None:
    """Prefix, cell and mailbox stand in it as they are known."""
    queue = Queue(CellPath.parse("api!eu!eu-1"), "host:h1")
    assert Topology("cellferry").name(queue) == "cellferry.api+eu+eu-1/host:h1"


@pytest.mark.parametrize("prefix", ["", "a.b", "a/b", "A", "-a", "x" * 64])
def test_a_prefix_that_would_be_ambiguous_is_refused(prefix: str) -> None:
    """Dots and slashes part the pieces of a name, so that none may stand in a prefix."""
    with pytest.raises(InvalidName):
        Topology(prefix)


@pytest.mark.parametrize("queue_type", QueueType)
def test_full_queues_refuse(queue_type: QueueType) -> None:
    """No queue drops its oldest frame in silence."""
    queue = Queue(CellPath.parse("api"), "cell")
    topology = Topology("p", queue_type=queue_type, messages_max=5)
    for each in (queue, dead_letter_queue(queue.cell)):
        arguments = topology.arguments(each)
        assert arguments["x-overflow"] == "reject-publish"
        assert arguments["x-max-length"] == 5
        assert arguments["x-queue-type"] == queue_type


def test_what_a_quorum_queue_gives_up_becomes_a_dead_letter() -> None:
    """The broker's own limit of deliveries drops nothing; dead letters themselves have nowhere to go."""
    queue = Queue(CellPath.parse("api"), "cell")
    topology = Topology("p", queue_type=QueueType.QUORUM)
    buried = dead_letter_queue(queue.cell)
    assert topology.arguments(queue)["x-dead-letter-routing-key"] == topology.name(buried)
    assert "x-dead-letter-routing-key" not in topology.arguments(buried)
