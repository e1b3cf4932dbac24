"""Reset network and inject network info: the host applies the server's ports once more, or tells its guest of them.

Ports and bindings are the network's; the host only does what these say.  Nothing that is so already is harmed by being
done again, so that there is nothing to take back.
"""

from typing import Final

from protocol.errors import NotFound
from protocol.messages import partners, servers, wiring
from protocol.messages.orders import WireServer
from protocol.messages.partners import PortList
from protocol.messages.servers import ServerBundle
from protocol.messages.wiring import PortAddress
from protocol.moves import parties
from protocol.moves.lifecycle import at_host, begin, take
from protocol.moves.parties import at_home, at_root, brief
from protocol.saga import Plan, Step, Story
from protocol.states import Goal, VmState

#: Whatever a server does, its ports can be applied again.
WIRED: Final = (VmState.ACTIVE, VmState.STOPPED, VmState.RESIZED)


def _is_reset(story: Story) -> bool:
    order = brief(story).order
    assert isinstance(order, WireServer)
    return order.goal is Goal.RESET_NETWORK


def _none_found(story: Story, reply: PortList) -> NotFound | None:
    """Object to a server whose ports are lost: its guest is not told that it has none."""
    return None if reply.ports else NotFound(kind="port of server", name=story.server)


def _host(story: Story) -> str:
    return story.reply("begin", ServerBundle).server.host or ""


def _apply(story: Story) -> wiring.ApplyNetwork:
    ports = story.reply("list_ports", PortList).ports
    return wiring.ApplyNetwork(
        server=story.server, by=story.conversation, is_reset=_is_reset(story),
        ports=tuple(PortAddress(port=port.id, address=port.address) for port in ports),
    )  # fmt: skip


# Traffic first: what the host applies is what the network says by then.
REASSERT: Final = (
    Step(
        name="rebind_ports", row="-", at=at_root("network"),
        run=lambda story: partners.BindPorts(server=story.server, host=_host(story)),
    ),
    Step(
        name="reassert_bindings", row="-", at=at_root("network"),
        run=lambda story: partners.ActivateBindings(server=story.server, host=_host(story)),
    ),
)  # fmt: skip
APPLY: Final = (
    Step(
        name="list_ports", row="-", at=at_root("network"), is_read=True,
        run=lambda story: partners.ListPorts(server=story.server), objection=_none_found,
    ),
    Step(name="apply_network", row="-", at=at_host, run=_apply, settles=True),
    Step(
        name="finish", row="-", at=at_home,
        run=lambda story: servers.FinishTask(
            server=story.server, action=parties.action(story), vm_state=None, power_state=None
        ),
    ),
)  # fmt: skip


def _plan(goal: Goal, *first: Step) -> Plan:
    return parties.plan(goal.value, (take(goal), begin(goal, f"compute_{goal}", WIRED, None), *first, *APPLY))


RESET_NETWORK: Final = _plan(Goal.RESET_NETWORK, *REASSERT)
INJECT_NETWORK_INFO: Final = _plan(Goal.INJECT_NETWORK_INFO)
