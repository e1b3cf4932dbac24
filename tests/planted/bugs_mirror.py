"""Planted bugs in the root's mirror."""

from __future__ import annotations

from typing import Any

from protocol.messages import mirror
from protocol.records import Mapping
from protocol.requests import Done
from sim.cases.portfolio import DOUBLED
from tests.planted.planting import Patch, bug, new_effect


@bug("mirror_forward", mix=DOUBLED, since=8)
def takes_any_news_for_new(patch: Patch) -> None:
    """What the root is told of a record takes the place of what it had, however old it is."""

    def update(draft: Any, command: mirror.UpdateMirror, _: Any) -> Done:
        if draft.find(Mapping, server=command.mirror.server) is not None:
            draft.put(command.mirror)
        return Done()

    new_effect(patch, mirror.UpdateMirror, update)
