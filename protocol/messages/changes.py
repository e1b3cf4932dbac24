"""What users change of a server's record at any time, also in the middle of a move: names, locks, tags, metadata."""

from typing import Any, Final

import attrs

from protocol.errors import InvalidValue
from protocol.messages.servers import Origin
from protocol.records import Server
from protocol.requests import Method, Request, Role, Way
from protocol.states import VmState

NAME_MAX: Final = 255
DESCRIPTION_MAX: Final = 255
TAGS_MAX: Final = 50
TAG_MAX: Final = 60
METADATA_MAX: Final = 128
METADATA_TEXT_MAX: Final = 255


def _text(least: int, most: int) -> Any:
    def check(_change: object, field: "attrs.Attribute[str | None]", text: str | None) -> None:
        if text is not None:
            _check_text(field.name, text, least=least, most=most)

    return check


def _check_text(name: str, text: str, *, most: int, least: int = 1) -> None:
    if not least <= len(text) <= most:
        raise InvalidValue(name=name, value=text[:most], rule=f"it has {least} to {most} characters")


def _tags(_change: object, _field: object, tags: tuple[str, ...] | None) -> None:
    if tags is None:
        return
    if len(tags) > TAGS_MAX or len(set(tags)) < len(tags):
        raise InvalidValue(name="tags", value=len(tags), rule=f"at most {TAGS_MAX}, each once")
    for tag in tags:
        _check_text("tags", tag, most=TAG_MAX)


def _metadata(_change: object, _field: object, metadata: dict[str, str] | None) -> None:
    if metadata is None:
        return
    if len(metadata) > METADATA_MAX:
        raise InvalidValue(name="metadata", value=len(metadata), rule=f"at most {METADATA_MAX} items")
    for key, value in metadata.items():
        _check_text("metadata", key, most=METADATA_TEXT_MAX)
        _check_text("metadata", value, least=0, most=METADATA_TEXT_MAX)


@attrs.frozen(kw_only=True)
class ServerChange:
    """What is to be another; None leaves it as it is.  Tags and metadata are replaced as a whole."""

    name: str | None = attrs.field(default=None, validator=_text(1, NAME_MAX))
    description: str | None = attrs.field(default=None, validator=_text(0, DESCRIPTION_MAX))
    is_locked: bool | None = None
    tags: tuple[str, ...] | None = attrs.field(default=None, validator=_tags)
    metadata: dict[str, str] | None = attrs.field(default=None, validator=_metadata)

    def fields(self) -> dict[str, Any]:
        """Give the fields of the record that it sets."""
        return {name: value for name, value in attrs.asdict(self, recurse=False).items() if value is not None}


@attrs.frozen(kw_only=True)
class ChangeServer(Request[Server]):
    """Change a server's record in whichever cell is its home by then.  Asked again under one id it is done once."""

    METHOD = Method(name="change_server", at=Role.CONDUCTOR, way=Way.NONE)

    id: str
    server: str
    change: ServerChange
    origin: Origin


@attrs.frozen(kw_only=True)
class UpdateServer(Request[Server]):
    """Change the record of a server whose home this cell is; `action` names the change in its history."""

    METHOD = Method(name="update_server", at=Role.CELL)

    server: str
    change: ServerChange
    action: str
    origin: Origin


@attrs.frozen(kw_only=True)
class UpdateFromApi(Request[Server]):
    """Save what the API has changed of a server's record, if that is in a state for it, once for each `action`.

    Metadata are left out, and so is the state unless it is to be reset: a server's own cell knows those better.
    """

    METHOD = Method(name="update_from_api", at=Role.CELL, reference="instance_update_from_api")

    server: str
    change: ServerChange
    action: str
    origin: Origin
    vm_states: tuple[VmState, ...] = ()  # One of these is expected; empty: any.
    has_no_task: bool = False  # It is expected to have none.
    vm_state: VmState | None = None
    is_reset: bool = False  # An administrator has the state set.  A task is never reset: somebody is at work on it.
