"""In which line of a TOML file each key stands.  The reader of TOML itself does not tell."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

HEAD: Final = re.compile(r"\s*(\[\[?)\s*([\w.-]+)\s*\]\]?\s*(?:#.*)?")
KEY: Final = re.compile(r"\s*([\w.-]+)\s*=")
FENCE: Final = re.compile(r'"""|\'\'\'')


def positions(text: str) -> dict[str, int]:
    """Give the line, from 1, of each table and key, by its path: `hosts[1]`, `hosts[1].memory_mb`.

    Of what stands within the value of another key, and of keys in quotes, nothing is told.
    """
    found: dict[str, int] = {}
    entries: Counter[str] = Counter()
    table, is_in_text = "", False
    for number, line in enumerate(text.splitlines(), start=1):
        was_in_text, is_in_text = is_in_text, is_in_text ^ (len(FENCE.findall(line)) % 2 == 1)
        if was_in_text:
            continue
        if (head := HEAD.fullmatch(line)) is not None:
            table = head[2]
            if head[1] == "[[":
                table = f"{head[2]}[{entries[head[2]]}]"
                entries[head[2]] += 1
            found.setdefault(table, number)
        elif (key := KEY.match(line)) is not None:
            found.setdefault(f"{table}.{key[1]}" if table else key[1], number)
    return found
