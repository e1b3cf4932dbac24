"""What a value in a file of settings may be; what is wrong is refused with its path."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import urlsplit

import attrs

from protocol.cell_path import CellPath
from protocol.errors import CellferryError, InvalidName, define

AMOUNT_MAX: Final = 2**31 - 1
#: What names a host, an image or a volume: it becomes part of mailboxes, files and queues.
NAME_RULE: Final = "it must be a lower-case letter or digit, then up to 62 of a-z, 0-9, '.', '_' and '-'"


@define
class SettingsError(CellferryError):
    """The settings cannot be used; `where` is the path of the value that is wrong."""

    code = "invalid_settings"
    template = "{where}: {what}"
    where: str
    what: str


def name(_settings: object, field: attrs.Attribute[str], text: str) -> None:
    """Refuse what is no name."""
    try:
        CellPath((text,))  # A host's, an image's and a volume's name obey the rule for one name of a path.
    except InvalidName:
        raise SettingsError(where=field.name, what=f"{text!r} is no name; {NAME_RULE}") from None


def amount(most: int, *, least: int = 1) -> Callable[[object, attrs.Attribute[int], int], None]:
    """Make a validator of whole numbers from `least` to `most`."""

    def check(_settings: object, field: attrs.Attribute[int], value: int) -> None:
        check_amount(field.name, value, least=least, most=most)

    return check


def check_amount(where: str, value: int, *, least: int = 1, most: int = AMOUNT_MAX) -> None:
    """Raise `SettingsError` unless a number is from `least` to `most`."""
    if not least <= value <= most:
        raise SettingsError(where=where, what=f"it must be from {least} to {most}, and is {value}")


def check_url(where: str, url: str, schemes: tuple[str, ...]) -> None:
    """Raise `SettingsError` unless `url` names a server by one of these schemes."""
    try:
        parts = urlsplit(url)
        is_fit = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_fit = False
    if not is_fit:  # The text may hold a password, so it is not shown.
        raise SettingsError(where=where, what=f"it must be a URL like {schemes[0]}://USER:PASSWORD@HOST:PORT/NAME")


def url(schemes: tuple[str, ...]) -> Callable[[object, attrs.Attribute[str | None], str | None], None]:
    """Make a validator of URLs by these schemes; None is none."""

    def check(_settings: object, field: attrs.Attribute[str | None], url: str | None) -> None:
        if url is not None:
            check_url(field.name, url, schemes)

    return check


def seconds(_settings: object, field: attrs.Attribute[int], value: int) -> None:
    """Refuse what is no whole number of seconds; 0 is one."""
    if value:
        check_amount(field.name, value)


def weight(_settings: object, field: attrs.Attribute[int], value: int) -> None:
    """Refuse what is no weight: it may be negative."""
    if abs(value) > AMOUNT_MAX:
        raise SettingsError(where=field.name, what=f"it must be from -{AMOUNT_MAX} to {AMOUNT_MAX}, and is {value}")


def number(_settings: object, field: attrs.Attribute[float], value: float) -> None:
    """Refuse what is no number that one can reckon with."""
    if not abs(value) <= AMOUNT_MAX:
        raise SettingsError(where=field.name, what=f"it must be from -{AMOUNT_MAX} to {AMOUNT_MAX}, and is {value}")


def capabilities(_settings: object, field: attrs.Attribute[dict[str, tuple[str, ...]]], value: object) -> None:
    """Refuse capabilities that have no name, or no values."""
    assert isinstance(value, dict)
    for called, values in value.items():
        if not called or not values or not all(values):
            what = f'{called or "one"} has no value; write it as {called or "os"} = ["linux"]'
            raise SettingsError(where=field.name, what=what)


def multipliers(_settings: object, field: attrs.Attribute[dict[str, float]], value: dict[str, float]) -> None:
    """Refuse multipliers that one cannot reckon with."""
    for called, each in value.items():
        if not abs(each) <= AMOUNT_MAX:
            what = f"it must be from -{AMOUNT_MAX} to {AMOUNT_MAX}, and is {each}"
            raise SettingsError(where=f"{field.name}.{called}", what=what)


def advice(wrong: str, right: Iterable[str], *, of: str) -> str:
    """Say what is close to a wrong word, or what there is."""
    known = list(right)
    if near := difflib.get_close_matches(wrong, known, n=1):
        return f"did you mean {near[0]}?"
    return f"known {of} are {', '.join(known[:12])}"
