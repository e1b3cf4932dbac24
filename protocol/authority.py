"""What a neighbour may send over an edge.  Pure: an envelope, where it is and where it came from in, a refusal out.

A cell trusts a neighbour with nothing but that neighbour's own side of the tree.  Who the neighbour is, the broker
says: `via` is that of the queue that the envelope came by, where nobody else may write, and never what it says itself.

| from | may send | not |
|---|---|---|
| a child | requests that go up, in the name of cells and hosts below it, to cells above | commands: keys, epochs |
| a child | answers, to who is above the answering cell | answers to what only goes up |
| the parent | requests that go down, to cells at or below this one, and answers to what went up | what only goes up |

One cell that has been taken over can then lose or lie about its own servers, and nothing else.
"""

from typing import Final

import attrs

from protocol import routing
from protocol.bodies import decode_body
from protocol.cell_path import REPLIES, Address, CellPath
from protocol.envelope import BODY_BYTES_MAX, Broadcast, Direction, Envelope, Response, Targeted
from protocol.errors import CellferryError, Forbidden, TooLarge
from protocol.methods import METHODS, direction_of
from protocol.requests import Form, Role, Way

#: The mailbox of a cell's router.
LINK: Final = "link"
#: No neighbour has anything asked for longer: a table of what is waited for would be full for ever.
BUDGET_S_MAX: Final = 24 * 3600.0
#: A request that goes up is news, of one server or host.
NEWS_BYTES_MAX: Final = 256 * 1024


@attrs.frozen(kw_only=True)
class Limits:
    """How much of everything an edge carries."""

    body_bytes_max: int = BODY_BYTES_MAX
    news_bytes_max: int = NEWS_BYTES_MAX
    budget_s_max: float = BUDGET_S_MAX


LIMITS: Final = Limits()


def admit(
    envelope: Envelope, *, here: CellPath, via: CellPath | None, limits: Limits = LIMITS
) -> CellferryError | None:
    """Tell why an envelope may not have come as it did; None when it may.  Its route is as it came.

    `via` is the neighbour whose queue it came by, or None when an actor of this cell sent it.
    """
    refusal: CellferryError | None = routing.admit(
        here=here, via=via, route=envelope.route, direction=_direction(envelope), method=envelope.method
    )
    if refusal is not None or via is None:
        return refusal
    if (refusal := _over_limits(envelope, is_from_child=via != here.parent, limits=limits)) is not None:
        return refusal
    reason = _why_not(envelope, here=here, is_from_child=via != here.parent, limits=limits)
    return None if reason is None else Forbidden(sender=str(via), method=envelope.method, reason=reason)


def may_answer(answer: Response, *, asked: Address, asker: CellPath) -> bool:
    """Tell whether that is who was asked, or a cell on the way to it that could not pass the question on."""
    if answer.source == asked:
        return True
    if not answer.is_error or answer.source.mailbox != LINK:
        return False
    # From the asker up to the common ancestor, then down to the asked.
    ancestor, cell = asker.common_ancestor(asked.cell), answer.source.cell
    if ancestor is None:
        return cell == asker
    return any(cell in {ancestor, end} or _is_between(ancestor, cell, end) for end in (asker, asked.cell))


def _is_between(upper: CellPath, cell: CellPath, lower: CellPath) -> bool:
    return upper.is_above(cell) and cell.is_above(lower)


def _direction(envelope: Envelope) -> Direction | None:
    if isinstance(envelope, Broadcast):
        return envelope.direction
    way = direction_of(envelope.method)
    if isinstance(envelope, Response) and way is not None:
        return Direction.UP if way is Direction.DOWN else Direction.DOWN
    return way


def _over_limits(envelope: Envelope, *, is_from_child: bool, limits: Limits) -> CellferryError | None:
    is_news = is_from_child and not isinstance(envelope, Response)
    limit = limits.news_bytes_max if is_news else limits.body_bytes_max
    if len(envelope.body) > limit:
        return TooLarge(what="the body of a neighbour's envelope", size=len(envelope.body), limit=limit)
    return None


def _why_not(envelope: Envelope, *, here: CellPath, is_from_child: bool, limits: Limits) -> str | None:
    if envelope.budget_s > limits.budget_s_max:
        return f"it is waited for longer than {limits.budget_s_max:g} s"
    if isinstance(envelope, Response):
        return _why_no_answer(envelope, is_from_child=is_from_child)
    return (
        _why_no_request(envelope)
        or (_why_not_over(envelope) if isinstance(envelope, Targeted) else None)
        or (_why_no_news(envelope, here=here) if is_from_child else None)
    )


def _why_no_answer(answer: Response, *, is_from_child: bool) -> str | None:
    way = direction_of(answer.method)
    request = METHODS.get(answer.method)
    if request is not None and request.METHOD.way is Way.NONE:
        return "nobody outside its cell is asked that"
    if not answer.target.mailbox.startswith(REPLIES):
        return "an answer goes to who waits for one"
    if way is None:
        return None
    if (way is Direction.DOWN) is not is_from_child:
        return f"it answers what only goes {way}"
    upper, lower = (answer.target, answer.source) if is_from_child else (answer.source, answer.target)
    return None if upper.cell.is_above(lower.cell) else f"nobody there can have asked {answer.source.cell}"


def _why_no_request(envelope: Targeted | Broadcast) -> str | None:
    """What no neighbour has any business to send: what never leaves a cell, or comes in another form."""
    request = METHODS.get(envelope.method)
    if request is None:
        # A hop passes on what it does not know: it may be older than both ends.
        return None
    form = Form.BROADCAST if isinstance(envelope, Broadcast) else Form.TARGETED
    if request.METHOD.way is Way.NONE:
        return "it never leaves its cell"
    if request.METHOD.form not in {Form.EITHER, form}:
        return f"it is {request.METHOD.form}"
    if isinstance(envelope, Broadcast) and direction_of(envelope.method) not in {None, envelope.direction}:
        return f"it only goes {request.METHOD.way}"
    return None


def _why_not_over(envelope: Targeted) -> str | None:
    """Where a request may be for: along its way, in the mailbox of those that handle it."""
    source, target = envelope.source, envelope.target
    if target.mailbox.startswith(REPLIES):
        return "only answers go to who waits for one"
    request = METHODS.get(envelope.method)
    if request is None:
        return None
    role = target.mailbox.partition(":")[0]
    if request.METHOD.at not in {Role.ANY, role}:
        return f"no {role} is asked that"
    upper, lower = (target, source) if request.METHOD.way is Way.UP else (source, target)
    is_along = upper.cell.is_above(lower.cell)
    if request.METHOD.way is Way.EITHER:
        is_along = is_along or lower.cell.is_above(upper.cell)
    return None if is_along else f"{target.cell} is not {request.METHOD.way} of {source.cell}"


def _why_no_news(envelope: Targeted | Broadcast, *, here: CellPath) -> str | None:
    """What a child may say: news of its own, and no commands."""
    if envelope.epoch or (envelope.key is not None and not envelope.key.is_plain):
        return "only the root commands, by keys and epochs"
    if isinstance(envelope, Targeted) and envelope.target.cell != here:
        return None  # Its cell looks into it.
    request = METHODS.get(envelope.method)
    if request is None:
        return None
    try:
        body = decode_body(envelope.body, request)
    except CellferryError as error:
        return f"its body is none: {error}"
    return None if body.may_come_from(envelope.source) else f"{envelope.source} does not speak for that"
