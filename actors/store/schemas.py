"""How the schemas of cells are called in a PostgreSQL database, and the store of the root among its kinds."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from protocol.errors import InvalidName

if TYPE_CHECKING:
    from protocol.cell_path import CellPath

SCHEMA: Final = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,62}")
SCHEMA_CHARS_MAX: Final = 63
#: The kind of store that the cell of the root has.
ROOT: Final = "root"


def schema_name(prefix: str, cell: CellPath) -> str:
    """Name the schema of a cell: `PREFIX_api`, `PREFIX_api_eu_eu_1_1a2b3c4d`.

    A name that is not the path letter by letter ends in a digest of the path, so that two cells never share one.
    """
    plain = f"{prefix}_{cell}"
    name = re.sub(r"[^a-z0-9_]", "_", plain)
    if name != plain or len(name) > SCHEMA_CHARS_MAX:
        digest = hashlib.blake2s(str(cell).encode(), digest_size=4).hexdigest()
        name = f"{name[: SCHEMA_CHARS_MAX - len(digest) - 1]}_{digest}"
    return checked_schema(name)


def checked_schema(schema: str) -> str:
    """Give the name back; raise `InvalidName` when it is none of a schema."""
    if SCHEMA.fullmatch(schema) is None:
        raise InvalidName(kind="schema name", text=schema, rule=SCHEMA.pattern)
    return schema
