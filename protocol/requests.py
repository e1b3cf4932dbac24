"""What a request is: a typed class that names its reply, who handles it and which way it may travel."""

from enum import StrEnum
from functools import cache
from typing import Any, ClassVar, Final, Generic, TypeVar, get_args

import attrs

from protocol.cell_path import Address
from protocol.gather import CellAnswer

R_co = TypeVar("R_co", covariant=True)


class Role(StrEnum):
    """Who handles a request: the kind of actor, by the first part of its mailbox."""

    CELL = "cell"
    HOST = "host"
    LINK = "link"
    CONDUCTOR = "conductor"
    IMAGE = "image"
    VOLUME = "volume"
    NETWORK = "network"
    ANY = "any"


class Way(StrEnum):
    """Which way a request may pass an edge of the tree."""

    DOWN = "down"
    UP = "up"
    EITHER = "either"
    NONE = "none"  # Never leaves its cell.


class Form(StrEnum):
    """Whether a request goes to one actor or to every cell up or down."""

    TARGETED = "targeted"
    BROADCAST = "broadcast"
    EITHER = "either"  # One cell is asked, or every one: the sender's choice.


@attrs.frozen(kw_only=True)
class Method:
    """A request's declaration."""

    name: str
    at: Role
    way: Way = Way.DOWN
    form: Form = Form.TARGETED
    is_idempotent: bool = True
    schema: int = 1
    reference: str = ""  # The method of Nova's cells that it stands for, by its name there; empty: of none.
    is_for_people: bool = False  # Only people ask it, to look or to hurry: no conversation does.
    is_read: bool = False  # It changes nothing, so whoever likes may ask it.
    #: No conversation sends it: only work that goes on by itself, and may be switched off; or a cell that was asked.
    is_routine: bool = False

    @property
    def is_by_hand(self) -> bool:
        """Tell whether it may be sent by hand: not what needs the key and the epoch of a conversation."""
        return self.is_read or self.is_for_people or bool(self.reference) or self.at is Role.CONDUCTOR


#: A listing gives no more at once: its reply must fit into a frame.
PAGE_MAX: Final = 1_000


def in_page(limit: int) -> int:
    """Tell how many lines a listing may have of those that were asked for."""
    return max(1, min(limit, PAGE_MAX))


class Request(Generic[R_co]):
    """Base of all requests; `Request[Taken]` is answered by a `Taken`."""

    METHOD: ClassVar[Method]

    @classmethod
    @cache
    def reply_type(cls) -> type[Any]:
        """Give the class of the reply."""
        for base in cls.__orig_bases__:  # type: ignore[attr-defined]  # every generic's subclass has it
            if arguments := get_args(base):
                return arguments[0]  # type: ignore[no-any-return]  # get_args is untyped
        raise AssertionError(f"{cls.__name__} names no reply")

    def may_come_from(self, source: Address) -> bool:  # noqa: ARG002 - what says nothing in anybody's name may come
        """Tell, of a request that came up the tree, whether its sender may speak for what it is about."""
        return True


@attrs.frozen
class Done:
    """The reply where there is nothing to say."""


@attrs.frozen(kw_only=True)
class Gathered:
    """What the cells answered to a broadcast, each by itself."""

    answers: tuple[CellAnswer, ...]


@attrs.frozen(kw_only=True)
class Poison(Request[Done]):
    """Undo of a step that leaves nothing to clean: from now on a late execute is answered `Superseded`."""

    METHOD = Method(name="poison", at=Role.ANY)

    server: str


@attrs.frozen(kw_only=True)
class Close(Request[Done]):
    """A conversation is over: refuse what is older than `epoch`, forget what is older than `lowest_open`."""

    METHOD = Method(name="close", at=Role.ANY)

    server: str
    conversation: str
    lowest_open: int
