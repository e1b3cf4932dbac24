"""Where everything of a picture is: each item has a row of its own, so that no two texts ever meet."""

from typing import Final

import attrs

from sim.diagram.picture import Arrow, Mark, MarkKind, Picture

HEAD_PX: Final = 84.0
LEFT_PX: Final = 76.0
LANE_PX: Final = 178.0
LINE_PX: Final = 14.0
PAD_PX: Final = 6.0
LETTER_PX: Final = 6.5
#: A mark on a lane is wrapped to so many letters.
MARK_LETTERS: Final = 40
#: A row with a labelled arrow, with a plain answer, and where a late message arrives.
ARROW_PX: Final = 25.0
ANSWER_PX: Final = 12.0
END_PX: Final = 16.0
MARK_GAP_PX: Final = 8.0
GAP_PX: Final = 22.0
GAP_S: Final = 3.0
#: A message that takes longer is drawn falling, even when nothing happens meanwhile.
LEVEL_S: Final = 1.0
WIDTH_MIN_PX: Final = 760.0


@attrs.frozen(kw_only=True)
class Place:
    """Where an item is; a message that took its time has an end of its own."""

    item: Arrow | Mark
    y: float
    end_y: float | None
    lines: tuple[str, ...]  # A mark's text, wrapped.
    time: str  # What is written at its left.


@attrs.define
class Rows:
    """Everything's place."""

    lanes: dict[str, float]
    epochs: tuple[int, ...]  # In order: each has a colour.
    width: float
    left: float = LEFT_PX
    bottom: float = 0.0
    places: list[Place] = attrs.field(factory=list)
    gaps: list[tuple[float, float]] = attrs.field(factory=list)
    heights: list[tuple[int, float]] = attrs.field(factory=list)  # Of the history's lines, in order.

    def x(self, process: str) -> float:
        """Tell where a lane is."""
        return self.lanes[process]

    def y_at(self, number: int) -> float:
        """Tell how far down a line of the history is."""
        return max((y for line, y in self.heights if line <= number), default=HEAD_PX)


def arrange(picture: Picture) -> Rows:
    """Place everything, from top to bottom in the history's order."""
    width = max(LEFT_PX + LANE_PX * len(picture.lanes) + 60, WIDTH_MIN_PX)
    rows = Rows(
        lanes={lane.process: LEFT_PX + LANE_PX * (place + 0.45) for place, lane in enumerate(picture.lanes)},
        epochs=tuple(picture.epochs),
        width=width,
    )
    _Arranger(rows, picture).arrange()
    return rows


class _Arranger:
    def __init__(self, rows: Rows, picture: Picture) -> None:
        self._rows = rows
        self._points = _points(picture)
        self._y = HEAD_PX
        self._time_s: float | None = None
        self._ys: dict[tuple[int, bool], float] = {}

    def arrange(self) -> None:
        """Go down the points."""
        items: list[tuple[int, Arrow | Mark, tuple[str, ...], str]] = []
        for number, place, is_end, item in self._points:
            time = self._tell_time(item.end_s if is_end and isinstance(item, Arrow) else item.begin_s)
            lines = self._wrapped(item) if isinstance(item, Mark) else ()
            above, below = _height(item, lines, is_end=is_end)
            y = self._y + above
            self._y = y + below
            self._ys[place, is_end] = y
            self._rows.heights.append((number, y))
            if not is_end:
                items.append((place, item, lines, time))
        self._rows.places = [
            Place(item=item, y=self._ys[place, False], end_y=self._ys.get((place, True)), lines=lines, time=time)
            for place, item, lines, time in items
        ]
        self._rows.bottom = self._y + 16

    def _tell_time(self, seconds: float | None) -> str:
        if seconds is None:
            return ""
        before, self._time_s = self._time_s, seconds
        if before is not None and seconds - before > GAP_S:
            self._rows.gaps.append((self._y + GAP_PX / 2 + 2, seconds - before))
            self._y += GAP_PX
        is_new = before is None or f"{before:.2f}" != f"{seconds:.2f}"
        return f"{seconds:.2f}" if is_new else ""

    def _wrapped(self, mark: Mark) -> tuple[str, ...]:
        across = int((self._rows.width - self._rows.left - 40) / LETTER_PX)
        return tuple(wrap(mark.text, MARK_LETTERS if mark.lane else across))


def _points(picture: Picture) -> list[tuple[int, int, bool, Arrow | Mark]]:
    """List where items begin, and where messages end that do not end as soon as they begin."""
    begins = [(item.begin, place, False, item) for place, item in enumerate(picture.items)]
    ends = [
        (item.end, place, True, item)
        for place, item in enumerate(picture.items)
        if isinstance(item, Arrow) and item.end is not None and item.end > item.begin
    ]
    numbers = sorted(number for number, *_ in (*begins, *ends))
    shown = [point for point in ends if not _is_level(point[3], numbers)]
    return sorted([*begins, *shown], key=lambda point: point[:3])


def _is_level(arrow: Arrow | Mark, numbers: list[int]) -> bool:
    assert isinstance(arrow, Arrow)
    assert arrow.end is not None
    assert arrow.end_s is not None
    is_quick = arrow.end_s - arrow.begin_s <= LEVEL_S
    return is_quick and not any(arrow.begin < number < arrow.end for number in numbers)


def _height(item: Arrow | Mark, lines: tuple[str, ...], *, is_end: bool) -> tuple[float, float]:
    """Tell how much room a row needs above and below its middle."""
    if isinstance(item, Mark):
        half = (len(lines) * LINE_PX + PAD_PX + MARK_GAP_PX) / 2
        extra = MARK_GAP_PX if item.kind is MarkKind.BREACH else 0.0
        return half + extra, half
    if is_end:
        return END_PX / 2, END_PX / 2
    return (ARROW_PX - 4, 4) if item.text else (ANSWER_PX - 3, 3)


def wrap(words: str, letters: int) -> list[str]:
    """Break a text into lines of at most so many letters; a longer word is broken too."""
    lines: list[str] = []
    for word in words.split():
        pieces = [word[start : start + letters] for start in range(0, len(word), letters)]
        for piece in pieces:
            if lines and len(lines[-1]) + 1 + len(piece) <= letters:
                lines[-1] += f" {piece}"
            else:
                lines.append(piece)
    return lines or [""]


def wrap_width(lines: tuple[str, ...]) -> float:
    """Tell how wide a box around these lines is."""
    return max(map(len, lines), default=0) * LETTER_PX + 12
