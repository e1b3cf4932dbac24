"""The actor that owns a cell's database; in the root also the mapping, the permits and the mirror."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.kernel.actor import Actor
from actors.kernel.outbox import Pump
from actors.store.effects import effect_handlers
from actors.store.listings import listing_handlers
from actors.store.outbox import retire, waiting
from protocol.effects import table
from protocol.effects.news import news

if TYPE_CHECKING:
    from actors.kernel.ports import Clock, Inbox, Store
    from actors.kernel.post import Post


def cell_actor(*, post: Post, store: Store, inbox: Inbox, clock: Clock) -> Actor:
    """Make the actor of the cell that `post` is in."""
    is_root = post.me.cell.parent is None
    pump = Pump(post=post, store=store, waiting=waiting, retire=retire)
    return Actor(
        post=post,
        store=store,
        inbox=inbox,
        clock=clock,
        handlers=(
            *effect_handlers((*table.CELL, *(table.ROOT if is_root else ())), tell=news),
            *listing_handlers(is_root=is_root),
        ),
        background=(pump.run,),
        stored=pump.wake,
    )
