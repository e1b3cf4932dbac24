"""Effects of what a cell is asked to build: each order is handed on durably, under a key that follows from its own.

A message that is doubled, or asked again after a crash, ends in the same conversations.  All orders of one request are
told in one transaction: all of them are built, or none.
"""

import attrs

from protocol.cell_path import Address, CellPath
from protocol.draft import Draft, News
from protocol.effects.instances import conversation_of, order_key, root_of
from protocol.effects.registry import Moment, effect
from protocol.envelope import Key
from protocol.ids import derived_id
from protocol.messages import building as say
from protocol.messages import handing
from protocol.requests import Done


def build_key(cell: str, asked: str, server: str) -> Key:
    """Give the key of the order of one of the servers that a cell was asked to build."""
    of_all = order_key(cell, asked)
    return Key.plain(derived_id(of_all.scope, "build", server), of_all.attempt)


@effect(say.BuildInstances, lambda _: ())
def _build(draft: Draft, command: say.BuildInstances, moment: Moment) -> say.Building:
    return _handed(draft, command, moment)


@effect(say.ScheduleRunInstance, lambda _: ())
def _schedule(draft: Draft, command: say.ScheduleRunInstance, moment: Moment) -> say.Building:
    return _handed(draft, command, moment)


def _handed(draft: Draft, command: say.BuildInstances | say.ScheduleRunInstance, moment: Moment) -> say.Building:
    conversations = []
    for order in command.orders():
        conversation = conversation_of(build_key(moment.cell, moment.key, order.server))
        within = attrs.evolve(order, within=CellPath.parse(moment.cell))
        draft.tell(
            News(
                id=derived_id("build", conversation), target=Address(root_of(moment), "cell"), server=order.server,
                request=handing.PassBuild(asked=moment.key, order=within),
            )
        )  # fmt: skip
        conversations.append(conversation)
    return say.Building(conversations=tuple(conversations))


@effect(handing.PassBuild, lambda _: ())
def _pass(draft: Draft, command: handing.PassBuild, moment: Moment) -> Done:
    order, root = command.order, root_of(moment)
    assert order.within is not None, "its cell names itself"
    if order.within != root:
        # What comes from a cell below has no more rights than any user: no cell makes anybody an administrator.
        order = attrs.evolve(order, origin=attrs.evolve(order.origin, is_admin=False))
    key = build_key(str(order.within), command.asked, order.server)
    draft.tell(
        News(
            id=derived_id("built", str(key)), target=Address(root, "conductor"), server=order.server,
            request=handing.TakeBuild(order=order), key=key,
        )
    )  # fmt: skip
    return Done()
