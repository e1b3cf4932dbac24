"""The few shapes that the diagrams are drawn with, as SVG text."""

import math
from collections.abc import Iterable
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from sim.diagram.picture import MarkKind
from sim.diagram.placing import LINE_PX, PAD_PX, Place

RED: Final = "#c62828"
GREEN: Final = "#2e9e5b"
GREY: Final = "#7b8794"
PALE: Final = "#fff3c4"
#: Far apart for most eyes, and dark enough for text on white.
EPOCHS: Final = ("#1f5fa8", "#a8480b", "#6b3fa0", "#0b7a75", "#9c1f6b", "#5c6b00")
#: Of each kind of mark: what its box is filled with, its rim, and its ink.
BOXES: Final = {
    MarkKind.FAULT: (PALE, "#d39e00", "#5c4400"),
    MarkKind.CRASH: ("#fdecea", RED, RED),
    MarkKind.START: ("#ffffff", GREEN, "#1c6b3d"),
    MarkKind.NOTE: ("#ffffff", "#9aa4b1", "#24292f"),
    MarkKind.ERROR: ("#fdecea", RED, RED),
    MarkKind.SKIPPED: ("#f3f5f8", "#d5dae1", "#57606a"),
    MarkKind.BREACH: (RED, RED, "#ffffff"),
}
HEAD_PX: Final = 8.0
SPREAD: Final = 0.42


def _attributes(**values: object) -> str:
    named = ((name.replace("_", "-"), value) for name, value in values.items() if value not in {"", None})
    return " ".join(f"{name}={quoteattr(_number(value))}" for name, value in named)


def _number(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def line(x1: float, y1: float, x2: float, y2: float, *, stroke: str, width: float = 1.0, dash: str = "") -> str:
    """Draw a straight line."""
    places = _attributes(x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2))
    return f"<line {places} {_attributes(stroke=stroke, stroke_width=width, stroke_dasharray=dash)}/>"


def rectangle(
    x: float, y: float, width: float, height: float, *, fill: str, stroke: str = "", radius: float = 0.0,
    opacity: float = 1.0,
) -> str:  # fmt: skip
    """Draw a rectangle."""
    places = _attributes(x=float(x), y=float(y), width=float(width), height=max(0.0, float(height)))
    looks = _attributes(fill=fill, stroke=stroke, rx=radius or "", fill_opacity=f"{opacity:g}")
    return f"<rect {places} {looks}/>"


def text(
    x: float, y: float, words: str, *, anchor: str = "", size: int = 0, weight: str = "", style: str = "",
    fill: str = "#24292f", halo: bool = False,
) -> str:  # fmt: skip
    """Write a line of text; a halo keeps it readable over lines."""
    looks = _attributes(
        x=float(x), y=float(y), text_anchor=anchor, font_size=size or "", font_weight=weight, font_style=style,
        fill=fill,
    )  # fmt: skip
    around = ' stroke="#ffffff" stroke-width="3" paint-order="stroke" stroke-linejoin="round"' if halo else ""
    return f"<text {looks}{around}>{escape(_printable(words))}</text>"


def _printable(words: str) -> str:
    """Leave out what XML cannot hold."""
    return "".join(letter if letter.isprintable() else " " for letter in words)


def box(left: float, place: Place, width: float, words: Iterable[str], *, fill: str, stroke: str, ink: str) -> str:
    """Draw a box with lines of text in it, around the place's middle."""
    lines = list(words)
    height = len(lines) * LINE_PX + PAD_PX
    top = place.y - height / 2
    parts = [rectangle(left, top, width, height, fill=fill, stroke=stroke, radius=3)]
    parts += [text(left + 6, top + LINE_PX * (n + 1) - 1, words, fill=ink) for n, words in enumerate(lines)]
    return "\n".join(parts)


def cross(x: float, y: float, *, size: float) -> Iterable[str]:
    """Draw a red cross."""
    yield line(x - size, y - size, x + size, y + size, stroke=RED, width=2.5)
    yield line(x - size, y + size, x + size, y - size, stroke=RED, width=2.5)


def arrow_head(x1: float, y1: float, x2: float, y2: float, *, fill: str) -> str:
    """Draw the head of an arrow that ends at the second place."""
    angle = math.atan2(y2 - y1, x2 - x1)
    corners = [(x2, y2)] + [
        (x2 - HEAD_PX * math.cos(angle + turn), y2 - HEAD_PX * math.sin(angle + turn)) for turn in (SPREAD, -SPREAD)
    ]
    return f'<polygon points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in corners)}" fill="{fill}"/>'
