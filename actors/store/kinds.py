"""The kinds of store that a deployment has, and the tables of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.store.schemas import ROOT
from actors.store.tables import CELL_TABLES, CONDUCTOR_TABLES, HOST_TABLES, ROOT_TABLES, partner_tables
from protocol.records import Attachment, Image, Port, PortBinding, Volume

if TYPE_CHECKING:
    from collections.abc import Mapping

    import sqlalchemy

#: By the names that roles have; the cell of the root has tables of its own.
KINDS: Final[Mapping[str, sqlalchemy.MetaData]] = {
    "cell": CELL_TABLES,
    ROOT: ROOT_TABLES,
    "host": HOST_TABLES,
    "conductor": CONDUCTOR_TABLES,
    "image": partner_tables(Image),
    "volume": partner_tables(Volume, Attachment),
    "network": partner_tables(Port, PortBinding),
}
