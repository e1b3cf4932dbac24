"""The group of all commands about servers, whichever module has them."""

from __future__ import annotations

from actors.cli.changing import CHANGES
from actors.cli.histories import OF_SERVER
from actors.cli.imaging import IMAGING
from actors.cli.live import live_migrate
from actors.cli.powering import POWERING
from actors.cli.rebuilding import rebuild
from actors.cli.repairing import repair
from actors.cli.servers import server
from actors.cli.wiring import WIRING

__all__ = ["server"]

for command in (*OF_SERVER, *CHANGES, *IMAGING, *POWERING, *WIRING, rebuild, live_migrate, repair):
    server.add_command(command)
