"""The actor that owns a cell's database; in the root also the mapping, the permits and the mirror."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from actors.cell.announcing import Announcing
from actors.cell.asking import Asking
from actors.cell.auditing import Auditing
from actors.cell.consoles import Consoles, follow_servers
from actors.cell.healing import Auditor, Healer
from actors.cell.links import Telling
from actors.kernel.actor import Actor
from actors.kernel.handlers import Ensuring
from actors.kernel.outbox import Pump
from actors.store.effects import effect_handlers
from actors.store.listings import listing_handlers
from actors.store.mirrors import mirror_handlers
from actors.store.outbox import retire, waiting
from protocol.draft import News
from protocol.effects import table
from protocol.effects.news import news
from protocol.messages.tree import AnnounceCapabilities, AnnounceCapacities

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from actors.kernel.ports import Clock, Inbox, Random, Store
    from actors.kernel.post import Post
    from protocol.draft import Changes
    from protocol.effects.registry import Moment
    from protocol.healing import Healing
    from protocol.tree import Rules


def cell_actor(
    *, post: Post, store: Store, inbox: Inbox, clock: Clock, random: Random, look_s: float = math.inf,
    rules: Rules | None = None, healing: Healing | None = None, audit_s: int = 0,
) -> Actor:  # fmt: skip
    """Make the actor of the cell that `post` is in; without `rules` it has no part in the state of the tree.

    Every `look_s` it looks for news that another replica has left; with `healing` it mends the mirror.
    """
    is_root = post.me.cell.parent is None
    pump = Pump(post=post, store=store, waiting=waiting, retire=retire, look_s=look_s)
    asking = Asking(post, store)
    auditing = Auditing(post=post, clock=clock, every_s=audit_s)
    announcing = Announcing(post=post, store=store, clock=clock, rules=rules)

    def tell(changes: Changes, moment: Moment) -> tuple[News, ...]:
        announcing.note(changes)
        return news(changes, moment)

    def stored() -> None:
        pump.wake()
        announcing.wake()

    mending = (
        () if healing is None else (_mending(post, store, clock=clock, random=random, healing=healing, pump=pump),)
    )

    return Actor(
        post=post,
        store=store,
        inbox=inbox,
        clock=clock,
        handlers=(
            *effect_handlers((*table.CELL, *(table.ROOT if is_root else ())), tell=tell, follow=follow_servers),
            *listing_handlers(is_root=is_root),
            Ensuring(request=AnnounceCapabilities, ensure=announcing.announce_capabilities),
            Ensuring(request=AnnounceCapacities, ensure=announcing.announce_capacities),
            *Telling(post).handlers(),
            *asking.handlers(),
            *Consoles(post, store, asking).handlers(),
            *mirror_handlers(),
        ),
        background=(
            pump.run,
            *mending,
            *((auditing.run,) if audit_s else ()),
            *((announcing.run,) if rules is not None else ()),
        ),
        stored=stored,
        prepare=announcing.prepare if rules is not None else None,
    )


def _mending(
    post: Post, store: Store, *, clock: Clock, random: Random, healing: Healing, pump: Pump
) -> Callable[[], Coroutine[Any, Any, None]]:  # fmt: skip
    """Give what mends the mirror in the background; replicas that do so at once do no harm."""
    if post.me.cell.parent is None:
        return Auditor(post=post, store=store, healing=healing).run
    return Healer(post=post, store=store, clock=clock, random=random, healing=healing, wake=pump.wake).run
