"""How a diagram calls what it shows."""

from protocol.effects.changes import action_of
from protocol.messages.changes import ChangeServer
from sim.cases.workload import Wish
from sim.history import Journaled, TakenOver
from sim.telling.account import Account


def epochs_of(account: Account) -> dict[int, str]:
    """Tell what was done under each epoch: every begin, takeover and close takes a new one."""
    found: dict[int, str] = {}
    for conversation in account.conversations.values():
        what = f"{conversation.goal} of {conversation.server}"
        for line in conversation.takeovers:
            if isinstance(line.what, TakenOver):
                found[line.what.epoch] = f"{what}, taken over"
        for line in conversation.entries:
            if isinstance(line.what, Journaled):
                found.setdefault(line.what.entry.epoch, what)
    return found


def wish(order: Wish) -> str:
    """Name what an order asks for."""
    return action_of(order.change) if isinstance(order, ChangeServer) else str(order.goal)
