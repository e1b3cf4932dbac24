"""Which store a URL of the settings names, opened."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import sqlalchemy
from sqlalchemy.exc import ArgumentError

from actors.store.postgresql import DRIVERS, open_postgresql
from actors.store.sqlite import MEMORY, InlineStore, open_inline, open_sqlite
from protocol.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from actors.kernel.ports import Store

RULE: Final = "it must begin with sqlite:///PATH, sqlite:// (in memory) or postgresql://"


def open_store(url: str, *, schema: str, metadata: sqlalchemy.MetaData) -> AbstractAsyncContextManager[Store]:
    """Open the store that `url` names, with the tables of `metadata`.

    `schema` is the cell's own within a PostgreSQL database; SQLite, a file per cell, has no use for it.
    """
    try:
        parsed = sqlalchemy.make_url(url)
    except ArgumentError:
        # The text may hold a password, so it is not shown.
        raise InvalidValue(name="the store's URL", value="***", rule=RULE) from None
    if parsed.drivername in DRIVERS:
        return open_postgresql(url, schema, metadata=metadata)
    if parsed.drivername != "sqlite":
        raise InvalidValue(name="the kind of the store's URL", value=parsed.drivername, rule=RULE)
    if parsed.database in (None, "", MEMORY):
        return _open_in_memory(metadata)
    return open_sqlite(Path(str(parsed.database)), metadata)


@asynccontextmanager
async def _open_in_memory(metadata: sqlalchemy.MetaData) -> AsyncIterator[InlineStore]:
    store = open_inline(metadata)
    try:
        yield store
    finally:
        store.close()
