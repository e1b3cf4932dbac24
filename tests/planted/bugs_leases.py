"""Planted bugs in leases: who does not renew, who does not look, and who takes what is not his to take."""

from __future__ import annotations

from typing import Any

from actors.kernel.leases import Lookout
from actors.store.journal import SqlJournals
from sim.cases.portfolio import SHARED
from sim.inner.journals import Journals
from tests.planted.planting import Level, Patch, bug

LOOP = (Level.LOOP,)
INNER = (Level.INNER,)


@bug("left_alone", mix=SHARED, levels=LOOP)
def never_renews(patch: Patch) -> None:
    """A conductor never renews the lease of what it has."""
    keep = SqlJournals.keep

    def once(self: Any, connection: Any, owner: str, *, is_first: bool = False) -> None:
        if is_first:
            keep(self, connection, owner, is_first=True)

    patch.setattr(SqlJournals, "keep", once)


@bug("left_alone", mix=SHARED, levels=INNER)
def inner_never_renews(patch: Patch) -> None:
    """A conductor never renews the lease of what it has."""
    patch.setattr(Journals, "keep", lambda self, owner: self._beats.setdefault(owner, 1))


@bug("taken_over_in_time", mix=SHARED)
def never_looks(patch: Patch) -> None:
    """No conductor looks whether another's lease is over."""
    patch.setattr(Lookout, "over", lambda _self, _holders, _now_s: ())


@bug("left_alone", mix=SHARED)
def takes_whatever_it_sees(patch: Patch) -> None:
    """A conductor that comes up takes over all that is open, as if it were alone."""
    patch.setattr(Lookout, "over", lambda _self, holders, _now_s: tuple(each for each in holders if each.count))
    patch.setattr(SqlJournals, "take", _takes_anyway)
    patch.setattr(Journals, "take", _takes_anyway_inside)


def _takes_anyway(self: Any, connection: Any, conversation: str, *, owner: str, holder: Any) -> bool:
    if holder.owner == owner:
        return False
    self.take_over(connection, conversation, owner=owner)
    return True


def _takes_anyway_inside(self: Any, conversation: str, *, owner: str, holder: Any) -> bool:
    if holder.owner == owner:
        return False
    self.take_over(conversation, owner=owner)
    return True
