"""A file of settings to begin with: each setting with its help, unit and default, written from the declarations."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any, Final

from actors.ops.declared import FILE, Setting, Shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

WIDTH: Final = 118
#: The least entries that make a cloud in which something can be ferried, beside the first that shows every setting.
ENTRIES: Final[Mapping[str, Sequence[Mapping[str, str]]]] = {
    "cells": ({"path": '"api"'}, {"path": '"api!eu"'}, {"path": '"api!us"'}),
    "hosts": ({"name": '"h1"', "cell": '"api!eu"'}, {"name": '"h2"', "cell": '"api!us"'}),
    "flavors": ({"name": '"m1.tiny"'}, {"name": '"m1.small"', "memory_mb": "2048", "disk_gb": "20"}),
    "images": ({"name": '"cirros"'},),
    "volumes": ({"name": '"data"'},),
    "links": ({"source": '"api"', "target": '"api!eu"'},),
}
#: What stands for a secret, or another value, that has no default.
URLS: Final[Mapping[str, str]] = {
    "store": '"postgresql://USER:PASSWORD@HOST/NAME"', "broker": '"amqp://USER:PASSWORD@HOST:5672/"',
    "secrets": '"secrets"',
}  # fmt: skip
HEAD: Final = """\
Every setting of a deployment.  What is commented out has the value that stands there unless you say otherwise.

Over this file go systemd credentials called cellferry.SECTION.KEY, over these environment variables called
CELLFERRY_SECTION__KEY, over these options: --set SECTION.KEY=VALUE.  A secret can be in a file of its own: KEY_file.

Try it: cellferry config check --config FILE
"""


def sample(settings: Sequence[Setting]) -> str:
    """Write the file."""
    lines = [f"# {line}".rstrip() for line in HEAD.splitlines()]
    top = [setting for setting in settings if len(setting.names) == 1]
    for setting in top:
        if setting.shape is Shape.VALUE:
            lines += ["", *_lines(setting, {}, is_off=not setting.is_required)]
    for setting in top:
        inside = [each for each in settings if each.names[:-1] == setting.names]
        if setting.shape is Shape.TABLE:
            lines += ["", *_comment(setting.about.help), f"[{setting.path}]", *_table(inside, {}, is_off=False)]
        elif setting.shape is Shape.LIST:
            lines += ["", *_list(setting, inside)]
    return "\n".join([*lines, ""])


def _list(setting: Setting, inside: Sequence[Setting]) -> Iterator[str]:
    first, *others = ENTRIES.get(setting.names[-1], ({},))
    off = "" if setting.is_required else "# "
    yield from _comment(setting.about.help)
    yield f"{off}[[{setting.path}]]"
    yield from _table(inside, first, is_off=not setting.is_required)
    for entry in others:
        yield ""
        yield f"{off}[[{setting.path}]]"
        for each in inside:
            if each.is_required:
                yield f"{off}{each.names[-1]} = {_value(each, entry)}"


def _table(inside: Sequence[Setting], entry: Mapping[str, str], *, is_off: bool) -> Iterator[str]:
    for each in inside:
        yield ""
        yield from _lines(each, entry, is_off=is_off or not each.is_required)


def _lines(setting: Setting, entry: Mapping[str, str], *, is_off: bool) -> Iterator[str]:
    yield from _comment(" ".join([setting.about.help, *facts(setting)]))
    yield f"{'# ' if is_off else ''}{setting.names[-1]} = {_value(setting, entry)}"


def facts(setting: Setting) -> Iterator[str]:
    """Say what there is to know of a setting beside its help, each as a sentence."""
    if setting.unit:
        yield f"Unit: {setting.unit}."
    if setting.allowed:
        yield f"It is {setting.allowed}."
    if setting.about.is_live:
        yield "SIGHUP takes a change up."
    if setting.about.is_secret:
        yield f"Secret; or {setting.names[-1]}{FILE}, a file with it."


def toml(value: Any) -> str:
    """Write a value as TOML does."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {toml(each)}" for name, each in value.items()) + "}"
    return str(value) if isinstance(value, int | float) else json.dumps(str(value))


def _value(setting: Setting, entry: Mapping[str, str]) -> str:
    name = setting.names[-1]
    if name in entry or setting.about.example:
        return entry.get(name, setting.about.example)
    return URLS[name] if setting.default is None else toml(setting.default)


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, WIDTH)]
