"""The effect of a choice among cells: it is only answered."""

import attrs

from protocol.cell_path import CellPath
from protocol.draft import Draft
from protocol.effects.capacity import room
from protocol.effects.registry import Moment, effect
from protocol.effects.tree import SEEN, view_of
from protocol.messages import scheduling as say
from protocol.records import CellProfile
from protocol.scheduling import MULTIPLIERS, Scheduler, candidates_of


@effect(say.ScheduleRoom, lambda _: SEEN)
def _schedule(draft: Draft, command: say.ScheduleRoom, moment: Moment) -> say.ScheduledRoom:
    seen, asked = view_of(draft, cell=moment.cell, now_us=moment.now_us), command.asked
    if asked.top != CellPath.parse(moment.cell):
        asked = attrs.evolve(asked, wish=attrs.evolve(asked.wish, target_cell=None))
    order = scheduler_of(draft.find(CellProfile)).rank(asked, candidates_of(seen))
    found = room(draft, command.room, moment)
    return say.ScheduledRoom(hosts=found.hosts, order=order, withheld=found.withheld)


def scheduler_of(profile: CellProfile | None) -> Scheduler:
    """Give a cell's filters and weighers: those of its settings, or all that are always there."""
    standard = Scheduler()
    if profile is None:
        return standard
    weighers = profile.weighers
    return Scheduler(
        filters=standard.filters if profile.filters is None else profile.filters,
        weighers=dict(MULTIPLIERS) if weighers is None else weighers,
    )
