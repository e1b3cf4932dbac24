"""A picture as Mermaid's `sequenceDiagram`, for documents that draw it themselves."""

from collections.abc import Iterable, Iterator
from typing import Final

from sim.cases.case import Breach
from sim.diagram.composing import compose
from sim.diagram.picture import Arrow, Fate, Mark, MarkKind, Picture
from sim.history import Line

#: What would end a text, or begin something else, in Mermaid.
ESCAPES: Final = {"#": "#35;", ";": "#59;", "<": "#lt;", ">": "#gt;", "\n": " "}
SIGNS: Final = {MarkKind.CRASH: "✖ ", MarkKind.FAULT: "⚡ ", MarkKind.BREACH: "✖✖ ", MarkKind.START: "▶ "}


def mermaid(lines: Iterable[Line], *, breach: Breach | None = None, servers: Iterable[str] = ()) -> str:
    """Write the servers and the time around a breach, or of a run without one all of it."""
    return write(compose(lines, breach=breach, servers=servers))


def write(picture: Picture) -> str:
    """Write a picture."""
    names = {lane.process: f"P{number}" for number, lane in enumerate(picture.lanes)}
    participants = (
        f"    participant {names[lane.process]} as {_text(lane.title)}"
        + (f"<br/>{_text(lane.detail)}" if lane.detail else "")
        for lane in picture.lanes
    )
    body = [f"    {row}" for item in picture.items for row in _item(item, names)]
    return "\n".join(["sequenceDiagram", f"    title {_text(picture.title)}", *participants, *body]) + "\n"


def _item(item: Arrow | Mark, names: dict[str, str]) -> Iterator[str]:
    if isinstance(item, Arrow):
        yield f"{names[item.source]}{_line(item)}{names[item.target]}: {_text(_label(item))}"
        return
    every = tuple(names.values())
    over = names[item.lane] if item.lane else f"{every[0]},{every[-1]}" if len(every) > 1 else every[0]
    words = f"{item.begin_s:.2f} s: {SIGNS.get(item.kind, '')}{item.text}"
    yield f"Note over {over}: {_text(words)}"


def _line(arrow: Arrow) -> str:
    if arrow.fate in {Fate.LOST, Fate.OPEN}:
        return "--x" if arrow.is_answer else "-x"
    return "-->>" if arrow.is_answer else "->>"


def _label(arrow: Arrow) -> str:
    epoch = f" [epoch {arrow.epoch}]" if arrow.epoch and not arrow.is_answer else ""
    took_s = (arrow.end_s or arrow.begin_s) - arrow.begin_s
    late = f", {took_s:.1f} s on its way" if took_s > 1 else ""
    lost = {Fate.LOST: ", lost", Fate.OPEN: ", not arrived yet"}.get(arrow.fate, "")
    words = arrow.text or ("answer" if arrow.is_answer else "")
    return f"{arrow.begin_s:.2f} s: {words}{epoch}{late}{lost}"


def _text(words: str) -> str:
    return "".join(ESCAPES.get(letter, letter) for letter in words) or " "
