"""`cellferry methods`, `call` and `gather`: all that cells can be asked, and how to ask it by hand."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from actors.cli.configuring import config_option
from actors.cli.failures import AnswersFailed, NotThere
from actors.cli.formats import Shape, shape_options, show_fields, show_rows
from actors.cli.output import console_for
from actors.cli.speaking import ADMIN, LOOK_S, Session, speak, user_here
from protocol.bodies import decode_body, to_plain
from protocol.by_hand import addressed, check_gathered, made, signature
from protocol.errors import CellferryError, InvalidValue, revive
from protocol.errors_wire import decode_error
from protocol.ids import derived_id
from protocol.messages.servers import Origin
from protocol.methods import METHODS
from protocol.reference import NOT_OFFERED, NUMBERS, RESPONSE
from protocol.requests import Done

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.cli.formats import Row
    from protocol.gather import CellAnswer
    from protocol.requests import Request

LISTED: Final = ("name", "at", "kind", "direction", "answer", "idempotent", "schema", "reference", "numbers")
#: An answer in a table is cut off here; `-f json` has all of it.
ANSWER_CHARS: Final = 100
ORIGIN: Final = "origin"
LOOK_THERE: Final = "list them with: cellferry methods"
by_arguments = click.argument("arguments", nargs=-1, metavar="[ARG=VALUE]...")
with_budget = click.option(
    "--timeout", "budget_s", type=click.FloatRange(min=0.1, max=600.0), default=LOOK_S, show_default=True,
    help="Wait so many seconds for an answer.",
)  # fmt: skip


# --- what there is -----------------------------------------------------------------------------------------


@click.command()
@click.option("--reference", is_flag=True, help="Only those that stand for a method of Nova's cells.")
@click.option("--by-hand", is_flag=True, help="Only those that can be called or gathered by hand.")
@shape_options
def methods(*, reference: bool, by_hand: bool, shape: Shape) -> None:
    """List every method that can be asked for in a tree of cells, and the one that brings the answers."""
    rows = [row for row in method_rows() if not (reference and not row["reference"])]
    rows = [row for row in rows if row["by_hand"] or not by_hand]
    show_rows(console_for(sys.stdout), rows, shape, usual=LISTED)


def method_rows() -> list[Row]:
    """Make a row of each method, by who answers it, and one of the response."""
    kinds = sorted(METHODS.values(), key=lambda kind: (kind.METHOD.at, kind.METHOD.name))
    return [*map(_method_row, kinds), _response_row()]


def _method_row(kind: type[Request[Any]]) -> Row:
    method = kind.METHOD
    return {
        "name": method.name,
        "at": method.at.value,
        "kind": method.form.value,
        "direction": method.way.value,
        "answer": kind.reply_type().__name__,
        "idempotent": method.is_idempotent,
        "schema": method.schema,
        "reference": method.reference or None,
        "numbers": list(NUMBERS.get(method.reference, ())),
        "by_hand": method.is_by_hand,
        "arguments": {
            name: f"{words}{'' if needed else ' (may be left out)'}" for name, words, needed in signature(kind)
        },
        "means": " ".join((kind.__doc__ or "").split()),
    }


def _response_row() -> Row:
    return {
        "name": RESPONSE,
        "at": "any",
        "kind": "response",
        "direction": "back",
        "answer": None,
        "idempotent": True,
        "schema": 1,
        "reference": RESPONSE,
        "numbers": list(NUMBERS[RESPONSE]),
        "by_hand": False,
        "arguments": {},
        "means": "Bring the answers to a call, or to a broadcast, back over the way that it came.",
    }


# --- one of them -------------------------------------------------------------------------------------------


@click.command()
@click.argument("to", metavar="CELL")
@click.argument("method")
@by_arguments
@with_budget
@click.option("--cast", is_flag=True, help="Send it and want no answer.")
@config_option()
@shape_options
def call(
    *, to: str, method: str, arguments: tuple[str, ...], budget_s: float, cast: bool, config: Path, shape: Shape
) -> None:
    """Send a request by hand to an actor of a cell, and show its answer.

    CELL is a cell's path, or a host's address: api!eu!eu-1/host:h1.  A value is text, a number, true or false, or JSON,
    as `cellferry methods -f json` tells of each argument.
    """
    with _usage():
        kind = _kind_of(method)
        address = addressed(kind, to)
        request = made(kind, texts_of(kind, arguments))

    async def work(session: Session) -> None:
        server = str(getattr(request, "server", ""))
        if cast:
            await session.client.cast(address, request, server=server)
            session.progress.print(f"{method} is sent to {address}; nobody waits for an answer")
            return
        reply = await session.client.send(address, request, server=server, budget_s=budget_s)
        show_reply(session, reply, shape)

    speak(config, work)


def show_reply(session: Session, reply: object, shape: Shape) -> None:
    """Show what was answered: a listing as its rows, anything else as its fields."""
    if isinstance(reply, Done):
        if shape.form == "table":
            session.out.print("done")
        else:
            show_fields(session.out, {"done": True}, shape)
        return
    plain = to_plain(reply)
    rows = rows_in(plain)
    if rows is None:
        show_fields(session.out, plain, shape)
    else:
        show_rows(session.out, rows, shape, usual=list(rows[0]) if rows else ("nothing",))


def rows_in(plain: Row) -> list[Row] | None:
    """Give the rows of an answer that is nothing but a listing."""
    values = list(plain.values())
    is_listing = (
        len(values) == 1 and isinstance(values[0], list | tuple) and all(isinstance(each, dict) for each in values[0])
    )
    return list(values[0]) if is_listing else None


# --- all cells ---------------------------------------------------------------------------------------------


@click.command()
@click.argument("method")
@by_arguments
@with_budget
@click.option("--below", is_flag=True, help="Only the cells below the root, and not the root itself.")
@config_option()
@shape_options
def gather(
    *, method: str, arguments: tuple[str, ...], budget_s: float, below: bool, config: Path, shape: Shape
) -> None:
    """Ask every cell of the tree, and show what each one answers: a line a cell, deepest first.

    A cell that cannot be asked, or does not answer in time, is a line of its own, and hides those below it.  Exit code
    1 when an answer is an error.
    """
    with _usage():
        kind = _kind_of(method)
        check_gathered(kind)
        request = made(kind, texts_of(kind, arguments))

    async def work(session: Session) -> None:
        gathered = await session.client.gather(request, budget_s=budget_s, include_self=not below)
        rows = [answer_row(kind, answer) for answer in gathered.answers]
        if shape.form == "table":
            rows = [row | {"answer": _short(row["answer"])} for row in rows]
        show_rows(session.out, rows, shape, usual=("cell", "answer", "error"))
        failed = [row["cell"] for row in rows if row["error"] is not None]
        if failed:
            raise AnswersFailed(f"{len(failed)} of {len(rows)} answers are errors: of {', '.join(failed)}")

    speak(config, work)


def answer_row(kind: type[Request[Any]], answer: CellAnswer) -> Row:
    """Make a row of one cell's answer: a value or an error."""
    if answer.is_error:
        return {"cell": str(answer.cell), "answer": None, "error": str(revive(decode_error(answer.body)))}
    plain = to_plain(decode_body(answer.body, kind.reply_type()))
    rows = rows_in(plain)
    return {"cell": str(answer.cell), "answer": plain if rows is None else rows, "error": None}


def _short(answer: object) -> str | None:
    if answer is None:
        return None
    if isinstance(answer, list):
        return f"{len(answer)}: {_cut(json.dumps(answer))}" if answer else "none"
    return _cut(json.dumps(answer)) if answer else "done"


def _cut(text: str) -> str:
    return text if len(text) <= ANSWER_CHARS else f"{text[:ANSWER_CHARS]}..."


# --- what was asked for ------------------------------------------------------------------------------------


def _kind_of(method: str) -> type[Request[Any]]:
    kind = METHODS.get(method)
    if kind is None:
        stands = [name for name, each in METHODS.items() if each.METHOD.reference == method]
        hint = f"it is called {stands[0]} here" if stands else NOT_OFFERED.get(method, LOOK_THERE)
        raise NotThere(f"there is no method {method}; {hint}")
    return kind


@contextmanager
def _usage() -> Iterator[None]:
    try:
        yield
    except (CellferryError, NotThere) as error:
        raise click.UsageError(str(error)) from error


def texts_of(kind: type[Request[Any]], arguments: tuple[str, ...]) -> dict[str, str]:
    """Take arguments apart; who asks is filled in where it is to be said and is not."""
    texts: dict[str, str] = {}
    for argument in arguments:
        name, separator, text = argument.partition("=")
        if not separator:
            raise InvalidValue(name=name, value=None, rule="an argument is written ARG=VALUE")
        if name in texts:
            raise InvalidValue(name=name, value=text, rule="it is given twice")
        texts[name] = text
    if any(name == ORIGIN for name, _, _ in signature(kind)) and ORIGIN not in texts:
        request_id = derived_id(kind.METHOD.name, *arguments)
        origin = Origin(request_id=f"req-{request_id}", user=user_here(), project=ADMIN, is_admin=True)
        texts[ORIGIN] = json.dumps(to_plain(origin))
    return texts
