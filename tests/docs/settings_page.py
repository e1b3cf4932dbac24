"""The page of settings, from their declarations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import attrs

from actors.ops.declared import FILE, Setting, Shape, word_for
from actors.ops.sample import toml
from actors.ops.settings import HOST_CELLS_MIN, LIMITS, declared
from tests.docs.markdown import code, page, table

INTRO: Final = """
The settings of a cloud are one TOML file, or several that include each other; `deploy/demo.toml` is one, and
[how to write your own](../how-to/write-a-cloud-file.md) explains what is in it. Lists of tables are written
`[[cells]]`, `[[hosts]]` and so on, one above each entry. A key that is not named here is refused, with its path.
`cellferry config sample` writes a file with all of them; `cellferry config check` tells all that is wrong with yours;
[how to configure](../how-to/configure.md) says what goes over the file.

**Live** settings are taken up by a running process that gets SIGHUP. A **secret** `KEY` may stand in a file of its own,
which `KEY_file` names; nothing shows it.
"""
HEADS: Final = ("Key", "Type", "Default", "What it says")
RULES: Final = (
    "`include`, at the top of a file, lists files that are read before it; what it says itself goes over them.",
    "An entry of a list that has the `path` or `name` of one of an included file is laid over that one.",
    "`[deployment]` is for `cellferry run` and what speaks to it; `cellferry demo` has options instead.",
    "Cells make one tree: one root, and a parent for every other one. Paths and names are there once.",
    f"Hosts are in {HOST_CELLS_MIN} cells at least, else there is nowhere to ferry to.",
    "`filters` and `multipliers` name what `cellferry scheduler list` lists.",
)


def settings_page() -> str:
    """Write the page of settings, a section for each table of the file."""
    top = [setting for setting in declared() if len(setting.names) == 1]
    parts = ["## The file", table(HEADS, [_row(setting) for setting in top])]
    for setting in top:
        if setting.shape is not Shape.VALUE:
            is_list = setting.shape is Shape.LIST
            name = setting.names[-1]
            limit = f" At most {LIMITS[name]:,} of them." if name in LIMITS else ""
            inside = [each for each in declared() if each.names[:-1] == setting.names]
            parts.append(f"## `[[{name}]]`" if is_list else f"## `[{name}]`")
            parts.extend([f"{setting.about.help}{limit}", table(HEADS, [_row(each) for each in inside])])
    return page("Settings", INTRO, *parts, "## Rules", "\n".join(f"- {rule}" for rule in RULES))


def _row(setting: Setting) -> tuple[str, ...]:
    kind = word_for(setting.kind) if setting.shape is Shape.VALUE else setting.shape.value
    return code(setting.names[-1]), kind, _default(setting), " ".join(_facts(setting))


def _facts(setting: Setting) -> Iterator[str]:
    yield setting.about.help
    if setting.unit:
        yield f"In {setting.unit}." if not setting.unit.startswith("a ") else f"So many {setting.unit}."
    if setting.allowed:
        yield f"It is {setting.allowed}."
    if setting.about.is_live:
        yield "**Live.**"
    if setting.about.is_secret:
        yield f"**Secret**, or {code(setting.names[-1] + FILE)}."


def _default(setting: Setting) -> str:
    if setting.is_required:
        return "required"
    value: Any = setting.default
    if attrs.has(type(value)):
        return "its own defaults"
    return "none" if value in (None, (), {}) else "empty" if value == "" else code(toml(value))
