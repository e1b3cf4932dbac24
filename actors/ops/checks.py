"""What a value in a file of settings may be; what is wrong is refused with its path."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, Final
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


class _Name:
    allowed: Final = "a lower-case letter or digit, then up to 62 of a-z, 0-9, '.', '_' and '-'"

    def __call__(self, _settings: object, field: attrs.Attribute[str], text: str) -> None:
        try:
            CellPath((text,))  # A host's, an image's and a volume's name obey the rule for one name of a path.
        except InvalidName:
            raise SettingsError(where=field.name, what=f"{text!r} is no name; {NAME_RULE}") from None


#: Refuses what is no name of a host, an image or a volume.
name: Final = _Name()


@attrs.frozen
class Amount:
    """A validator of whole numbers from `least` to `most`."""

    most: int
    least: int = attrs.field(default=1, kw_only=True)

    def __call__(self, _settings: object, field: attrs.Attribute[int], value: int) -> None:
        """Refuse what is none."""
        check_amount(field.name, value, least=self.least, most=self.most)

    @property
    def allowed(self) -> str:
        """Say what may be."""
        return f"from {self.least:,} to {self.most:,}"


amount: Final = Amount


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


@attrs.frozen
class Url:
    """A validator of URLs by these schemes; None is none."""

    schemes: tuple[str, ...]

    def __call__(self, _settings: object, field: attrs.Attribute[Any], value: str | None) -> None:
        """Refuse what is none."""
        if value is not None:
            check_url(field.name, value, self.schemes)

    @property
    def allowed(self) -> str:
        """Say what may be."""
        return f"a URL by {' or '.join(self.schemes)}"


url: Final = Url


@attrs.frozen
class OneOf:
    """A validator of words of which there are some."""

    words: tuple[str, ...]
    called: str

    def __call__(self, _settings: object, field: attrs.Attribute[str], text: str) -> None:
        """Refuse what is none of them."""
        if text not in self.words:
            raise SettingsError(where=field.name, what=f"{text!r} is none; {advice(text, self.words, of=self.called)}")

    @property
    def allowed(self) -> str:
        """Say what may be."""
        return f"one of {', '.join(self.words)}"


class _Seconds:
    allowed: Final = f"from 1 to {AMOUNT_MAX:,}, or 0"

    def __call__(self, _settings: object, field: attrs.Attribute[int], value: int) -> None:
        if value:
            check_amount(field.name, value)


#: Refuses what is no whole number of seconds; 0 is one.
seconds: Final = _Seconds()


class _Number:
    allowed: Final = f"from -{AMOUNT_MAX:,} to {AMOUNT_MAX:,}"

    def __call__(self, _settings: object, field: attrs.Attribute[Any], value: float) -> None:
        if not abs(value) <= AMOUNT_MAX:
            raise SettingsError(where=field.name, what=f"it must be from -{AMOUNT_MAX} to {AMOUNT_MAX}, and is {value}")


#: Refuses what is no number that one can reckon with; it may be negative.
number: Final = _Number()


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
