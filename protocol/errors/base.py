"""What every error is, the registry of wire codes, and how errors cross from cell to cell."""

from collections.abc import Mapping
from typing import ClassVar, Final, TypeVar, cast, dataclass_transform

import attrs

Argument = str | int | float | bool | None
E = TypeVar("E", bound="type[CellferryError]")

#: Every error that may cross the wire, by its code.  No name off the wire is ever imported.
CODES: Final[dict[str, "type[CellferryError]"]] = {}
TEXT_CHARS_MAX: Final = 16_384


class CellferryError(Exception):
    """Base of all declared errors.  Never raised itself."""

    code: ClassVar[str]
    template: ClassVar[str]
    #: Whether the same request may succeed when it is simply sent again later.
    is_retryable: ClassVar[bool] = False
    #: The cell where it happened and the traceback there, when it came off the wire.
    remote_cell: str | None = None
    remote_traceback: str | None = None

    @property
    def arguments(self) -> dict[str, Argument]:
        """The data of the error, by field name: what crosses the wire."""
        return {name: cast("Argument", getattr(self, name)) for name in argument_types(type(self))}

    def __str__(self) -> str:
        """Tell what happened, as people read it."""
        return self.template.format(**self.arguments)


def declared(cls: E) -> E:
    """Enter an error class into the registry; two classes with one code are a mistake of ours."""
    assert cls.code not in CODES, f"error code {cls.code} is declared twice"
    CODES[cls.code] = cls
    return cls


@dataclass_transform(kw_only_default=True, eq_default=False)
def define(cls: E) -> E:
    """Make an error class of annotated fields: attrs' `define`, in a form that mypy sees through."""
    return attrs.define(cls, kw_only=True, slots=False, eq=False, repr=False, str=False)


@attrs.frozen(kw_only=True)
class ErrorReport:
    """An error as it crosses the wire."""

    code: str
    message: str
    arguments: Mapping[str, Argument]
    is_retryable: bool
    cell: str
    traceback: str = ""


@declared
@define
class RemoteError(CellferryError):
    """An error of a code that this version does not know."""

    code = "remote_error"
    template = "{text} (code {remote_code}, from cell {cell})"
    remote_code: str
    text: str
    cell: str
    may_be_retried: bool

    def original(self, cell: str) -> ErrorReport:
        """Give the report that this error was revived from, so that a hop passes it on unchanged."""
        return ErrorReport(
            code=self.code,
            message=str(self)[:TEXT_CHARS_MAX],
            arguments=self.arguments,
            is_retryable=self.may_be_retried,
            cell=self.remote_cell or cell,
            traceback=self.remote_traceback or "",
        )


def report(error: CellferryError, *, cell: str, traceback: str = "") -> ErrorReport:
    """Describe `error` for the wire; one that came off the wire keeps the cell it happened in."""
    if isinstance(error, RemoteError):
        return error.original(cell)
    return ErrorReport(
        code=error.code,
        message=str(error)[:TEXT_CHARS_MAX],
        arguments=error.arguments,
        is_retryable=error.is_retryable,
        cell=error.remote_cell or cell,
        traceback=(error.remote_traceback or traceback)[-TEXT_CHARS_MAX:],
    )


def revive(report: ErrorReport) -> CellferryError:
    """Make our own class of the report's code; an unknown code or misfit arguments become `RemoteError`."""
    error = _known(report) or RemoteError(
        remote_code=report.code, text=report.message, cell=report.cell, may_be_retried=report.is_retryable
    )
    error.remote_cell = report.cell
    error.remote_traceback = report.traceback or None
    return error


def _known(report: ErrorReport) -> CellferryError | None:
    cls = CODES.get(report.code)
    if cls is None:
        return None
    wanted = argument_types(cls)
    # A peer of another version, or a liar, may send other names, or values of other types.
    if set(report.arguments) != set(wanted) or not all(_fits(report.arguments[name], wanted[name]) for name in wanted):
        return None
    return cls(**report.arguments)


def argument_types(cls: type[CellferryError]) -> dict[str, object]:
    """Tell the names of an error's arguments, and the type of each: str, int, float, bool or `Argument`."""
    return {field.name: field.type for field in attrs.fields(cast("type[attrs.AttrsInstance]", cls))}


def _fits(value: Argument, wanted: object) -> bool:
    if wanted is float:
        return type(value) in {int, float}
    return wanted == Argument or type(value) is wanted
