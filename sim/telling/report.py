"""Writes what is left of a failing run: the case that replays it, its story, its diagrams and its trace."""

import json
import math
import shlex
from pathlib import Path
from typing import Final

import attrs

from protocol.bodies import to_plain
from protocol.cell_path import CellPath
from sim.cases.case import Breach
from sim.commands.levels import Ran
from sim.diagram import mermaid, svg
from sim.history import Line
from sim.telling.story import tell

CASE: Final = "case.json"
FOUND: Final = "found.json"
VERDICT: Final = "verdict.json"
STORY: Final = "story.md"
MERMAID: Final = "sequence.mmd"
SVG: Final = "sequence.svg"
TRACE: Final = "trace.jsonl"


def write_report(run: Ran, shrunk: Ran, folder: Path, *, options: tuple[str, ...] = ()) -> str:
    """Write a folder about a run that failed and the smaller one that it shrank to; give the command that replays it.

    The story, the diagrams and the trace are the smaller run's; `found.json` is the case as it was found.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines, breach = shrunk.history.lines, shrunk.outcome.first
    command = replay_command(str(folder / CASE), *options)
    story = f"{tell(shrunk)}\n## Replay it\n\n    {command}\n\nA diagram is in `{SVG}`, every line in `{TRACE}`.\n"
    texts = {
        CASE: shrunk.outcome.case.to_json(),
        FOUND: run.outcome.case.to_json(),
        VERDICT: json.dumps(verdict_of(shrunk), indent=1),
        STORY: story,
        MERMAID: mermaid(lines, breach=breach),
        SVG: svg(lines, breach=breach),
        TRACE: "".join(f"{json.dumps(plain_line(line))}\n" for line in lines),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return command


def replay_command(case: str, *options: str) -> str:
    """Write the one command that runs a case, or a seed, again."""
    return shlex.join(["cellferry", "sim", "replay", case, *options])


def verdict_of(run: Ran) -> dict[str, object]:
    """Tell a run's verdict, so that a replay can say whether it came to the same one."""
    return {"trace_sha256": run.outcome.trace_sha256, "first": plain_breach(run.outcome.first)}


def plain_breach(breach: Breach | None) -> dict[str, object] | None:
    """Turn a breach into plain data."""
    return None if breach is None else to_plain(breach)


def plain_line(line: Line) -> dict[str, object]:
    """Turn a line of a history into plain data."""
    what = attrs.asdict(line.what, value_serializer=_plain)
    return {"number": line.number, "at_ns": line.at_ns, "what": type(line.what).__name__, **what}


def _plain(_owner: object, _field: object, value: object) -> object:
    match value:
        case bytes():
            return value.hex()
        case float() if math.isinf(value):
            return None  # JSON has no infinity: without end.
        case CellPath():
            return str(value)
        case _:
            return value
