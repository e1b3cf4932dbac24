"""Errors to bytes and back.  What class an error becomes is for `protocol.errors` to say."""

import math
from typing import Final

from protocol.cell_path import CellPath
from protocol.codec import Layout, pack, require_layout, require_size, unpack
from protocol.envelope import NUMBER_MAX, NUMBER_MIN
from protocol.errors import TEXT_CHARS_MAX, Argument, ErrorReport, Malformed

ARGUMENTS_MAX: Final = 16
ARGUMENT_CHARS_MAX: Final = 4096
CODE_CHARS_MAX: Final = 64

_REPORT: Final[Layout] = {
    "code": str,
    "message": str,
    "arguments": dict,
    "is_retryable": bool,
    "cell": str,
    "traceback": str,
}


def encode_error(report: ErrorReport) -> bytes:
    """Write an error.  It never fails for what the error says: too much is cut, what is not plain becomes text."""
    arguments = {name: _argument(value) for name, value in report.arguments.items()}
    message, traceback = _text(report.message)[:TEXT_CHARS_MAX], _text(report.traceback)[-TEXT_CHARS_MAX:]
    return pack((report.code, message, arguments, report.is_retryable, report.cell, traceback), where="error")


def _argument(value: Argument) -> Argument:
    is_number = isinstance(value, int) and NUMBER_MIN <= value <= NUMBER_MAX
    if value is None or is_number or (isinstance(value, float) and math.isfinite(value)):
        return value
    return _text(str(value))[:ARGUMENT_CHARS_MAX]


def _text(text: str) -> str:
    # A traceback may quote a file name or an output that is no UTF-8.
    return text.encode(errors="backslashreplace").decode()


def decode_error(data: bytes) -> ErrorReport:
    """Read an error; `revive` makes an exception of it."""
    fields = unpack(data, where="error")
    if not isinstance(fields, list):
        raise Malformed(where="error", what="not an array")
    require_layout("error", fields, _REPORT)
    code, message, arguments, is_retryable, cell, traceback = fields
    require_size("the code of an error", len(code), CODE_CHARS_MAX)
    require_size("the message of an error", len(message), TEXT_CHARS_MAX)
    require_size("the traceback of an error", len(traceback), TEXT_CHARS_MAX)
    require_size("the arguments of an error", len(arguments), ARGUMENTS_MAX)
    for name, value in arguments.items():
        _require_argument(name, value)
    return ErrorReport(
        code=code,
        message=message,
        arguments=arguments,
        is_retryable=is_retryable,
        cell=str(CellPath.parse(cell)),
        traceback=traceback,
    )


def _require_argument(name: str, value: object) -> None:
    require_size("the name of an argument", len(name), CODE_CHARS_MAX)
    if isinstance(value, bytes | list | dict):
        raise Malformed(where="error", what=f"the argument {name} is a {type(value).__name__}")
    if isinstance(value, str):
        require_size(f"the argument {name} of an error", len(value), ARGUMENT_CHARS_MAX)
