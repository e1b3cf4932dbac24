"""The actor that owns ports and their bindings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.kernel.actor import Actor
from actors.store.effects import effect_handlers
from protocol.effects import table

if TYPE_CHECKING:
    from actors.kernel.ports import Clock, Inbox, Store
    from actors.kernel.post import Post


def network_actor(*, post: Post, store: Store, inbox: Inbox, clock: Clock) -> Actor:
    """Make the network actor."""
    return Actor(post=post, store=store, inbox=inbox, clock=clock, handlers=effect_handlers(table.NETWORK))
