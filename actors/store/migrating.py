"""Takes a database along the history of revisions, by Alembic; loaded by the commands that do so, and by no process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from actors.store.kinds import KINDS
from actors.store.revisions import BOOKS, HEAD, Standing, stamp, standing

if TYPE_CHECKING:
    from collections.abc import Iterable

MIGRATIONS: Final = Path(__file__).parent / "migrations"


@attrs.frozen(kw_only=True)
class Revision:
    """One step of the history."""

    name: str
    #: The oldest revision whose code may work on a database of this one.
    serves: str
    text: str


def history(*beside: Path) -> tuple[Revision, ...]:
    """List the revisions, the first one first; `beside`: directories with more of them."""
    found = list(_scripts(beside).walk_revisions())
    return tuple(Revision(name=each.revision, serves=each.module.serves, text=each.doc) for each in reversed(found))


def upgrade(connection: sa.Connection, kind: str, *, to: str = HEAD, beside: tuple[Path, ...] = ()) -> Standing:
    """Take a database of that kind to a revision, and give where it stood before; one that is ahead stays there.

    A database that has tables and is of no revision was made by a version from before the history: it is the first.
    """
    before = standing(connection, KINDS[kind])
    first, *_ = steps = history(*beside)
    if not before.is_empty and not before.found:
        stamp(connection, first.name, first.serves)
    if before.found and before.found >= to:
        return before
    scripts = _scripts(beside)

    def path(heads: Any, _context: MigrationContext) -> Iterable[Any]:
        return scripts._upgrade_revs(to, heads)  # noqa: SLF001 - what Alembic's own `upgrade` command does

    with EnvironmentContext(Config(), scripts, fn=path) as environment:
        environment.configure(connection=connection, kind=kind)
        environment.run_migrations()
    stamp(connection, to, max(step.serves for step in steps if step.name <= to))
    return before


def differences(connection: sa.Connection, metadata: sa.MetaData) -> list[Any]:
    """List how a database's tables differ from those that are declared, as Alembic names differences."""

    def is_ours(_item: object, name: str | None, kind: str, *_: object) -> bool:
        return not (kind == "table" and name in BOOKS.tables)

    context = MigrationContext.configure(connection, opts={"include_object": is_ours, "compare_type": True})
    return list(compare_metadata(context, metadata))


def _scripts(beside: tuple[Path, ...]) -> ScriptDirectory:
    return ScriptDirectory(str(MIGRATIONS), version_locations=[str(MIGRATIONS), *map(str, beside)])
