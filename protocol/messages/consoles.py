"""What is said about consoles: a server's guest can be spoken to by whoever has a token, for a while."""

import attrs

from protocol.requests import Method, Request, Role


@attrs.frozen(kw_only=True)
class GuestConsole:
    """Where a running guest can be spoken to: another port each time it is started."""

    kind: str
    address: str
    port: int


@attrs.frozen(kw_only=True)
class ShowConsole(Request[GuestConsole]):
    """Tell where a guest of the host can be spoken to; refused when it does not run."""

    METHOD = Method(name="show_console", at=Role.HOST, is_read=True, is_for_people=True)

    server: str


@attrs.frozen(kw_only=True)
class Console:
    """A console that was opened: who has the token may speak to the guest until it expires."""

    token: str
    server: str
    host: str
    kind: str
    address: str
    port: int
    expires_at_us: int


@attrs.frozen(kw_only=True)
class OpenConsole(Request[Console]):
    """Have a server's cell make a token for its console; the root authorises it as soon as it hears of it."""

    METHOD = Method(name="open_console", at=Role.CELL, is_idempotent=False, is_for_people=True)

    server: str


@attrs.frozen(kw_only=True)
class ConsoleChecked:
    """Whether a console is where it was."""

    is_valid: bool
    reason: str = ""


@attrs.frozen(kw_only=True)
class CheckConsole(Request[ConsoleChecked]):
    """Have a server's cell ask its host whether its console is still at that port."""

    METHOD = Method(name="check_console", at=Role.CELL, reference="validate_console_port", is_read=True)

    server: str
    port: int
    kind: str
