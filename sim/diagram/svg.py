"""A picture as SVG: plain shapes and text, no script, no font and nothing from elsewhere."""

from collections.abc import Iterable
from typing import Final

from sim.cases.case import Breach
from sim.diagram.composing import compose
from sim.diagram.picture import Arrow, BarKind, Fate, Mark, MarkKind, Picture
from sim.diagram.placing import HEAD_PX, Place, Rows, arrange, wrap_width
from sim.diagram.shapes import (
    BOXES,
    EPOCHS,
    GREEN,
    GREY,
    PALE,
    RED,
    arrow_head,
    box,
    cross,
    line,
    rectangle,
    text,
)
from sim.history import Line

LOST_AT: Final = 0.6
BAR_PX: Final = 10
LEGEND_ROW_PX: Final = 20
HATCH: Final = (
    '<pattern id="paused" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="6" height="6" fill="#ffffff"/><rect width="3" height="6" fill="#9aa4b1"/></pattern>'
)
FONT: Final = "DejaVu Sans, Verdana, Arial, sans-serif"


def svg(lines: Iterable[Line], *, breach: Breach | None = None, servers: Iterable[str] = ()) -> str:
    """Draw the servers and the time around a breach, or of a run without one all of it."""
    return draw(compose(lines, breach=breach, servers=servers))


def draw(picture: Picture) -> str:
    """Draw a picture."""
    rows = arrange(picture)
    legend = _legend(picture)
    height = rows.bottom + LEGEND_ROW_PX * (len(legend) + 1)
    size = f'width="{rows.width:.0f}" height="{height:.0f}" viewBox="0 0 {rows.width:.0f} {height:.0f}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{FONT}" font-size="11">',
        f"<defs>{HATCH}</defs>",
        rectangle(0, 0, rows.width, height, fill="#ffffff"),
        text(16, 22, picture.title, size=15, weight="bold", fill=RED if _is_broken(picture) else "#1b1f24"),
        *_lanes(picture, rows),
        *_bars(picture, rows),
        *_gaps(rows),
        *(part for place in rows.places for part in _under(place, rows)),
        *(part for place in rows.places for part in _over(place, rows)),
        *(part for number, entry in enumerate(legend) for part in _legend_row(entry, rows, number)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _is_broken(picture: Picture) -> bool:
    return any(isinstance(item, Mark) and item.kind is MarkKind.BREACH for item in picture.items)


# --- lanes and what lasts ----------------------------------------------------------------------------------


def _lanes(picture: Picture, rows: Rows) -> Iterable[str]:
    yield text(16, HEAD_PX - 8, "seconds", size=10, fill=GREY)
    for lane in picture.lanes:
        x = rows.x(lane.process)
        yield line(x, HEAD_PX, x, rows.bottom, stroke="#b6bec9")
        yield rectangle(x - 66, HEAD_PX - 40, 132, 36, fill="#eef2f7", stroke="#b6bec9", radius=5)
        yield text(x, HEAD_PX - 24, lane.title, anchor="middle", weight="bold")
        yield text(x, HEAD_PX - 10, lane.detail, anchor="middle", size=9, fill=GREY)


def _bars(picture: Picture, rows: Rows) -> Iterable[str]:
    for bar in picture.bars:
        x, top = rows.x(bar.lane), rows.y_at(bar.begin)
        bottom = rows.bottom if bar.end is None else rows.y_at(bar.end)
        match bar.kind:
            case BarKind.GUEST:
                yield rectangle(x - BAR_PX / 2, top, BAR_PX, bottom - top, fill=GREEN, opacity=0.45)
            case BarKind.PAUSED:
                yield rectangle(x - BAR_PX / 2, top, BAR_PX, bottom - top, fill="url(#paused)", stroke="#9aa4b1")
            case BarKind.DOWN:
                yield line(x, top, x, bottom, stroke="#ffffff", width=4)
                yield line(x, top, x, bottom, stroke=RED, width=1, dash="1 6")


def _gaps(rows: Rows) -> Iterable[str]:
    for y, seconds in rows.gaps:
        yield line(70, y, rows.width - 16, y, stroke="#d5dae1", dash="2 5")
        yield text(16, y + 4, f"+ {seconds:.3g} s", size=10, fill=GREY, style="italic")


# --- arrows and marks --------------------------------------------------------------------------------------


def _under(place: Place, rows: Rows) -> Iterable[str]:
    if place.time:
        yield text(16, place.y + 4, place.time, size=10, fill="#57606a")
    if isinstance(place.item, Arrow):
        yield from _arrow(place.item, place, rows)


def _over(place: Place, rows: Rows) -> Iterable[str]:
    if isinstance(place.item, Mark):
        yield from _mark(place.item, place, rows)
    elif place.item.text:
        yield _label(place.item, place, rows)


def _colour(arrow: Arrow, rows: Rows) -> str:
    if arrow.is_error:
        return RED
    return EPOCHS[rows.epochs.index(arrow.epoch) % len(EPOCHS)] if arrow.epoch in rows.epochs else "#24292f"


def _arrow(arrow: Arrow, place: Place, rows: Rows) -> Iterable[str]:
    x1, x2 = rows.x(arrow.source), rows.x(arrow.target)
    y1, y2 = place.y, place.y if place.end_y is None else place.end_y
    colour = _colour(arrow, rows)
    dash = "2 3" if arrow.is_answer else "9 3" if arrow.is_undo else ""
    if arrow.fate in {Fate.LOST, Fate.OPEN}:
        x2, y2 = x1 + (x2 - x1) * LOST_AT, y1 + (y2 - y1) * LOST_AT
    if x1 == x2:
        x2 += 40
    yield line(x1, y1, x2, y2, stroke=colour, width=1.4, dash=dash)
    if arrow.fate is Fate.LOST:
        yield from cross(x2, y2, size=6)
    elif arrow.fate is Fate.OPEN:
        yield text(x2 + (4 if x2 > x1 else -10), y2 + 4, "?", weight="bold", fill=GREY)
    else:
        yield arrow_head(x1, y1, x2, y2, fill=colour)
    if arrow.fate is Fate.DOUBLED:
        yield arrow_head(x1, y1, x2 - (9 if x2 > x1 else -9), y2, fill=colour)


def _label(arrow: Arrow, place: Place, rows: Rows) -> str:
    x1, x2 = rows.x(arrow.source), rows.x(arrow.target)
    is_right = x2 >= x1
    return text(
        x1 + (12 if is_right else -12), place.y - 5, arrow.text, anchor="start" if is_right else "end",
        fill=_colour(arrow, rows), style="italic" if arrow.is_undo else "", halo=True,
    )  # fmt: skip


def _mark(mark: Mark, place: Place, rows: Rows) -> Iterable[str]:
    fill, stroke, ink = BOXES[mark.kind]
    if not mark.lane:
        yield box(rows.left, place, rows.width - rows.left - 16, place.lines, fill=fill, stroke=stroke, ink=ink)
        return
    x = rows.x(mark.lane)
    width = wrap_width(place.lines)
    # Beside its lane, and on the page.
    left = min(x + 12, rows.width - width - 8)
    if mark.kind is MarkKind.CRASH:
        yield from cross(x, place.y, size=9)
    elif left < x + 12:
        left = x - 12 - width
    yield box(left, place, width, place.lines, fill=fill, stroke=stroke, ink=ink)
    if mark.kind is MarkKind.START:
        yield f'<circle cx="{x:.1f}" cy="{place.y:.1f}" r="5" fill="#ffffff" stroke="{GREEN}" stroke-width="2"/>'
    elif mark.kind is not MarkKind.CRASH:
        yield f'<circle cx="{x:.1f}" cy="{place.y:.1f}" r="3.5" fill="{stroke}"/>'


# --- the legend --------------------------------------------------------------------------------------------


def _legend(picture: Picture) -> list[tuple[str, str, str]]:
    """Explain what this picture uses: a kind of sample, its colour, and what it means."""
    arrows = [item for item in picture.items if isinstance(item, Arrow)]
    bars = {bar.kind for bar in picture.bars}
    entries = [
        ("line", EPOCHS[place % len(EPOCHS)], f"epoch {epoch}: {what}")
        for place, (epoch, what) in enumerate(picture.epochs.items())
    ]
    optional = (
        (any(arrow.is_answer for arrow in arrows), ("2 3", "#24292f", "an answer")),
        (any(arrow.is_undo for arrow in arrows), ("9 3", "#24292f", "an undo")),
        (any(arrow.fate is Fate.LOST for arrow in arrows), ("cross", RED, "lost on its way, or a process is killed")),
        (BarKind.GUEST in bars, ("bar", GREEN, "the guest runs on this host")),
        (BarKind.DOWN in bars, ("1 6", RED, "the process is down")),
        (BarKind.PAUSED in bars, ("bar", "url(#paused)", "the process stands still")),
        (True, ("box", PALE, "a fault of the case")),
    )
    return [*entries, *(entry for is_used, entry in optional if is_used)]


def _legend_row(entry: tuple[str, str, str], rows: Rows, number: int) -> Iterable[str]:
    sample, colour, meaning = entry
    y = rows.bottom + LEGEND_ROW_PX * (number + 1)
    match sample:
        case "bar" | "box":
            yield rectangle(28, y - 6, 30, 11, fill=colour, stroke="#9aa4b1", opacity=0.8 if sample == "bar" else 1)
        case "cross":
            yield from cross(43, y, size=6)
        case _:
            yield line(28, y, 58, y, stroke=colour, width=1.6, dash="" if sample == "line" else sample)
    yield text(70, y + 4, meaning, fill="#57606a")
