"""Where settings come from: files, credentials, environment variables, options; each over those before it.

A relative path, of a file that is included or of one that holds a secret, begins at the directory of the file that was
named first.
"""

from __future__ import annotations

import re
import stat
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs

from actors.ops.checks import SettingsError, advice
from actors.ops.declared import FILE, PREFIX, SEPARATOR, Setting, Shape
from actors.ops.positions import positions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FILE_BYTES_MAX: Final = 16 * 1024 * 1024
SECRET_BYTES_MAX: Final = 4096
INCLUDE: Final = "include"
INCLUDES_MAX: Final = 16
#: Where systemd puts the credentials of a unit, and what begins the names of those that are settings.
CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"
CREDENTIAL: Final = "cellferry."
DEFAULT: Final = "default"
#: By which field the entries of a list are told apart.
KEYS: Final = ("path", "name")
PART: Final = re.compile(r"\[([^\]]*)\]|([^.\[\]]+)")


@attrs.define
class Sources:
    """The tables of all sources, merged; where each value is from; and what is wrong with the sources themselves."""

    path: Path
    table: dict[str, Any] = attrs.field(factory=dict)
    #: By the path of a value, as in `hosts[1].memory_mb`.
    origins: dict[str, str] = attrs.field(factory=dict)
    problems: list[SettingsError] = attrs.field(factory=list)
    by_names: dict[tuple[str, ...], Setting] = attrs.field(factory=dict)

    def origin(self, where: str) -> str:
        """Tell where a value is from, or any part of it; or that it is the default."""
        inside = (origin for path, origin in self.origins.items() if path.startswith(f"{where}."))
        return self.origins.get(where) or next(inside, DEFAULT)

    def placed(self, problem: SettingsError) -> SettingsError:
        """Say of a problem where it is to be mended: in a file, with the line, a variable or an option."""
        where = problem.where
        while where and where not in self.origins:
            where = where[: max(where.rfind("."), where.rfind("["), 0)]
        return SettingsError(where=f"{self.origins.get(where, self.path)}: {problem.where}", what=problem.what)

    def refuse(self, where: str, what: str) -> None:
        """Note what is wrong with a source."""
        self.problems.append(SettingsError(where=where, what=what))

    # --- taking values in ------------------------------------------------------------------------------------

    def merge(self, table: Mapping[str, Any], lines: Mapping[str, int], file: Path) -> None:
        """Lay a file's tables over what there is."""
        self._merge(self.table, table, ("", ""), (), _Place(lines=lines, file=file))

    def _merge(
        self, onto: dict[str, Any], table: Mapping[str, Any], paths: tuple[str, str], names: tuple[str, ...],
        place: _Place,
    ) -> None:  # fmt: skip
        for key, value in table.items():
            here, there = (_below(path, key) for path in paths)
            setting = self.by_names.get((*names, key))
            if secret := self._secret(names, key):
                self._merge_secret(onto, table, secret, here.removesuffix(FILE), place.origin(there))
            elif setting is not None and setting.shape is Shape.TABLE and isinstance(value, dict):
                self._merge(_table_in(onto, key), value, (here, there), setting.names, place)
            elif setting is not None and setting.shape is Shape.LIST and isinstance(value, list):
                self._merge_list(onto, setting, value, (here, there), place)
            else:
                onto[key] = value
                self.origins[here] = place.origin(there)

    def _merge_secret(
        self, onto: dict[str, Any], table: Mapping[str, Any], secret: Setting, here: str, origin: str
    ) -> None:  # fmt: skip
        key, name = secret.names[-1], table[secret.names[-1] + FILE]
        if key in table:
            self.refuse(f"{self.path}: {here}{FILE}", f"{key} is there as well; remove one of them")
        elif not isinstance(name, str):
            self.refuse(f"{self.path}: {here}{FILE}", "the name of a file is expected")
        elif (held := self._read_secret(name, f"{self.path}: {here}{FILE}")) is not None:
            onto[key] = held
            self.origins[here] = f"{origin} ({name})"

    def _merge_list(
        self, onto: dict[str, Any], setting: Setting, entries: list[Any], paths: tuple[str, str], place: _Place
    ) -> None:  # fmt: skip
        key = setting.names[-1]
        if not isinstance(onto.get(key), list):
            onto[key] = []
        known: list[Any] = onto[key]
        own = len(known)  # Only those of another file are added to: what one file says twice is a mistake.
        for number, entry in enumerate(entries):
            if not isinstance(entry, dict):
                known.append(entry)
                continue
            found = _place_of(known[:own], entry)
            if found is None:
                found = len(known)
                known.append({})
            here, there = f"{paths[0]}[{found}]", f"{paths[1]}[{number}]"
            self.origins.setdefault(here, place.origin(there))
            self._merge(known[found], entry, (here, there), setting.names, place)

    def set(self, parts: Sequence[str], text: str, origin: str) -> None:
        """Lay one value over what there is, by its names and the numbers or names of entries."""
        spot = self._find(parts, origin)
        if spot is None:
            return
        if spot.is_file:
            value, origin = self._read_secret(text, origin), f"{origin} ({text})"
        else:
            try:
                value = _plain(text) if spot.is_inside else spot.setting.read(text)
            except ValueError:
                self.refuse(f"{origin} ({spot.where})", "it cannot be read; write the value as in the file")
                return
        if value is not None:
            spot.onto[spot.key] = value
            self.origins[spot.where] = origin

    def setting_of(self, parts: Sequence[str]) -> Setting | None:
        """Give the setting of these names, those of entries left out; None when there is none."""
        names: tuple[str, ...] = ()
        is_entry, found = False, None
        for part in parts:
            if is_entry:
                is_entry = False
                continue
            names = (*names, part)
            found = self.by_names.get(names)
            is_entry = found is not None and found.shape is Shape.LIST
        return found

    def _find(self, parts: Sequence[str], origin: str) -> _Spot | None:
        """Go down to where a value belongs; note what is wrong, and give None, where there is no way."""
        onto, where, rest = self.table, "", list(parts)
        names: tuple[str, ...] = ()
        while rest:
            part = rest.pop(0)
            setting, secret = self.by_names.get((*names, part)), self._secret(names, part)
            if secret is not None and not rest:
                key = secret.names[-1]
                return _Spot(setting=secret, onto=onto, key=key, where=_below(where, key), is_file=True)
            if setting is None or (setting.shape is not Shape.VALUE and not rest):
                break
            where, names = _below(where, part), setting.names
            if setting.shape is Shape.VALUE and not rest:
                return _Spot(setting=setting, onto=onto, key=part, where=where)
            if setting.is_map and len(rest) == 1:
                inside, where = _table_in(onto, part), _below(where, rest[0])
                return _Spot(setting=setting, onto=inside, key=rest[0], where=where, is_inside=True)
            if setting.shape is Shape.TABLE:
                onto = _table_in(onto, part)
            elif setting.shape is Shape.LIST:
                entry = self._entry(onto.get(part), rest.pop(0), origin, where)
                if entry is None:
                    return None
                onto, where = entry
            else:
                break
        known = [".".join(each) for each in self.by_names]
        self.refuse(origin, f"there is no setting {'.'.join(parts)}; {advice('.'.join(parts), known, of='settings')}")
        return None

    def _entry(self, entries: Any, which: str, origin: str, where: str) -> tuple[dict[str, Any], str] | None:
        for place, entry in enumerate(entries or ()):
            if isinstance(entry, dict) and which in {str(place), *(entry.get(key) for key in KEYS)}:
                return entry, f"{where}[{place}]"
        what = f"there is no entry {which} of {where}; name one by its number from 0, or by its path or name"
        self.refuse(origin, what)
        return None

    def _secret(self, names: tuple[str, ...], key: str) -> Setting | None:
        """Give the secret setting whose file a key names, if it does."""
        setting = self.by_names.get((*names, key.removesuffix(FILE))) if key.endswith(FILE) else None
        return setting if setting is not None and setting.about.is_secret else None

    def _read_secret(self, name: str, where: str) -> str | None:
        path = self.path.parent / name
        try:
            with path.open("rb") as file:
                mode, text = stat.S_IMODE(path.stat().st_mode), file.read(SECRET_BYTES_MAX + 1).decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            self.refuse(where, f"{path} cannot be read ({reason}); name the file that holds the secret")
            return None
        if mode & stat.S_IWOTH:
            self.refuse(where, f"everybody may change {path}; say: chmod o-w {path}")
            return None
        if not text or len(text) > SECRET_BYTES_MAX:
            self.refuse(where, f"{path} must hold 1 to {SECRET_BYTES_MAX} characters")
            return None
        return text


@attrs.frozen(kw_only=True)
class _Spot:
    """Where a value belongs: under which key of which table."""

    setting: Setting
    onto: dict[str, Any]
    key: str
    where: str
    #: Whether the name of a file is given that holds the value.
    is_file: bool = False
    #: Whether it is within a value whose keys are the operator's own.
    is_inside: bool = False


@attrs.frozen(kw_only=True)
class _Place:
    """A file, and in which lines of it what is."""

    lines: Mapping[str, int]
    file: Path

    def origin(self, where: str) -> str:
        return f"{self.file}:{self.lines[where]}" if where in self.lines else str(self.file)


def read_sources(
    path: Path, settings: Sequence[Setting], *, variables: Mapping[str, str], options: Sequence[str]
) -> Sources:
    """Read all sources; raise `SettingsError` when a file cannot be read, or is no TOML."""
    sources = Sources(path=path, by_names={setting.names: setting for setting in settings})
    for file, content in _files(path, path.parent, depth=0):
        table = _parse(file, content)
        table.pop(INCLUDE, None)
        sources.merge(table, positions(content.decode()), file)
    _take_credentials(sources, variables)
    _take_variables(sources, variables)
    for option in options:
        name, is_given, text = option.partition("=")
        parts = split(name)
        setting = sources.setting_of(parts)
        if not is_given:
            sources.refuse(f"--set {name}", "it gives no value; write --set section.key=value")
        elif setting is not None and setting.about.is_secret:
            sources.refuse(
                f"--set {name}", f"what a command line holds everybody can read; say --set {name}{FILE}=FILE instead"
            )
        else:
            sources.set(parts, text, f"--set {name}")
    return sources


def _take_credentials(sources: Sources, variables: Mapping[str, str]) -> None:
    if directory := variables.get(CREDENTIALS):
        for file in sorted(Path(directory).glob(f"{CREDENTIAL}*")):
            origin = f"credential {file.name}"
            held = sources._read_secret(str(file), origin)  # noqa: SLF001 - of this very module
            if held is not None:
                sources.set(split(file.name.removeprefix(CREDENTIAL)), held, origin)


def _take_variables(sources: Sources, variables: Mapping[str, str]) -> None:
    for name in sorted(variables):
        if not name.startswith(PREFIX):
            continue
        parts = name.removeprefix(PREFIX).lower().split(SEPARATOR)
        # Others, like the one that names the file, are no settings.
        if len(parts) > 1 or tuple(parts) in sources.by_names:
            sources.set(parts, variables[name], name)


def split(name: str) -> list[str]:
    """Take `cells[api!eu].broker` apart."""
    return [entry or part for entry, part in PART.findall(name)]


def _files(path: Path, base: Path, *, depth: int) -> Iterator[tuple[Path, bytes]]:
    """Give a file's content after that of the files that it includes."""
    content = _read(path)
    included = _parse(path, content).get(INCLUDE, [])
    names = [included] if isinstance(included, str) else included
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SettingsError(where=f"{path}: {INCLUDE}", what='a list of files is expected, as in ["cloud.toml"]')
    if names and depth == INCLUDES_MAX:
        raise SettingsError(where=f"{path}: {INCLUDE}", what="files include each other; remove one of these keys")
    for name in names:
        yield from _files(base / name, base, depth=depth + 1)
    yield path, content


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        what = f"it cannot be read ({error.strerror}); name a file of yours, or leave the option out"
        raise SettingsError(where=str(path), what=what) from error
    if len(content) > FILE_BYTES_MAX:
        raise SettingsError(where=str(path), what=f"it is larger than {FILE_BYTES_MAX} bytes; is it the right file?")
    return content


def _parse(path: Path, content: bytes) -> dict[str, Any]:
    try:
        return parse_toml(content)
    except SettingsError as error:
        raise SettingsError(where=f"{path}: {error.where}", what=error.what) from error


def parse_toml(content: bytes) -> dict[str, Any]:
    """Read TOML; raise `SettingsError`."""
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        what = "this is not UTF-8 text; is it the right file?"
        raise SettingsError(where=f"byte {error.start}", what=what) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(where="not TOML", what=f"{error}; mend it there") from error


def _place_of(known: Sequence[Any], entry: Mapping[str, Any]) -> int | None:
    key = next((key for key in KEYS if key in entry), None)
    if key is None:
        return None
    found = (place for place, other in enumerate(known) if isinstance(other, dict) and other.get(key) == entry[key])
    return next(found, None)


def _table_in(onto: dict[str, Any], key: str) -> dict[str, Any]:
    found = onto.setdefault(key, {})
    return found if isinstance(found, dict) else {}


def _plain(text: str) -> Any:
    """Make a value of a table whose keys are the operator's: as TOML writes it, or else a text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
