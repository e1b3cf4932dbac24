"""How a guest's disk and a volume are laid out.  Pure, and standard library only: the guest program uses it too.

The first `WITNESS_BYTES` of a disk or volume are the witness block; what an image brought follows it.  The block has
two slots, written in turn.  A slot is a head (magic, serial number, length, checksum) and JSON.  The slot with the
higher serial and a right checksum counts: whoever reads while the guest writes, and whoever finds a disk after a
crash, meets the new witness or the one before, never a torn one.

- A fresh image has no witness block: a disk made from it gets one in front.
- A snapshot is a whole disk with its block: a disk made from it continues the counter and the boots.
- A volume's block is blank until a guest writes it.  A root volume's says what a disk's says; on a data volume the
  guest that has it connected writes its counter and its server at each tick, and leaves the rest as it found it.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from actors.partners.names import NAME

SLOT_BYTES: Final = 16_384
WITNESS_BYTES: Final = 2 * SLOT_BYTES
#: More boots than these are forgotten, the oldest first.  A boot's number tells how many there were.
BOOTS_KEPT: Final = 64

_HEAD: Final = struct.Struct(">8sQII")
_MAGIC: Final = b"cfwitn01"
_NUMBERS_MAX: Final = 1 << 64


def _check(*, names: Iterable[object], numbers: Iterable[object]) -> None:
    for name in names:
        if not isinstance(name, str) or NAME.fullmatch(name) is None:
            raise ValueError(name)
    for number in numbers:
        if type(number) is not int or not 0 <= number < _NUMBERS_MAX:
            raise ValueError(number)


# These values are dataclasses, not attrs classes, because the guest program runs without third-party packages.
@dataclass(frozen=True, kw_only=True, slots=True)
class Boot:
    """One start of a guest from a disk: where, by which permit, and the how many-th of that disk."""

    host: str
    permit: int
    number: int

    def __post_init__(self) -> None:
        """Refuse what no boot is: an image is a stranger's bytes."""
        _check(names=(self.host,), numbers=(self.permit, self.number))


@dataclass(frozen=True, kw_only=True, slots=True)
class DiskWitness:
    """What a disk or volume tells about itself."""

    counter: int = 0
    boots: tuple[Boot, ...] = ()
    image: str = ""  # What this disk was made from: after a move, the snapshot.
    writer: str = ""  # The server that wrote last.

    def __post_init__(self) -> None:
        """Refuse what would not fit into a slot."""
        _check(names=(name for name in (self.image, self.writer) if name != ""), numbers=(self.counter,))
        if len(self.boots) > BOOTS_KEPT:
            raise ValueError(self.boots)

    @property
    def boots_total(self) -> int:
        """How many boots there were, the forgotten ones included."""
        return self.boots[-1].number if self.boots else 0

    def booted(self, *, host: str, permit: int) -> DiskWitness:
        """Note one more boot."""
        boot = Boot(host=host, permit=permit, number=self.boots_total + 1)
        return replace(self, boots=(*self.boots, boot)[-BOOTS_KEPT:])

    def counted(self, counter: int, *, writer: str) -> DiskWitness:
        """Note how far the guest has counted."""
        return replace(self, counter=counter, writer=writer)


@dataclass(frozen=True, kw_only=True, slots=True)
class GuestMemory:
    """What a guest knows that goes on elsewhere: how far it has counted, since which starts of its disk."""

    counter: int
    boots: tuple[Boot, ...]

    @classmethod
    def of(cls, witness: DiskWitness) -> GuestMemory:
        """Give the memory of a guest that has just written all of it to its disk."""
        return cls(counter=witness.counter, boots=witness.boots)

    def onto(self, witness: DiskWitness, *, writer: str) -> DiskWitness:
        """Give what a disk says that has all that the guest wrote."""
        return replace(witness, counter=self.counter, boots=self.boots, writer=writer)


@dataclass(frozen=True, slots=True)
class Page:
    """A witness as it stands in one slot."""

    serial: int
    witness: DiskWitness

    @property
    def offset(self) -> int:
        """Where in the block the page is written."""
        return self.serial % 2 * SLOT_BYTES

    def after(self, witness: DiskWitness) -> Page:
        """Make the page that follows this one, in the other slot."""
        return Page(self.serial + 1, witness)

    def encode(self) -> bytes:
        """Give the page's bytes, to be written at its offset."""
        boots = [[boot.host, boot.permit, boot.number] for boot in self.witness.boots]
        fields = {
            "counter": self.witness.counter,
            "boots": boots,
            "image": self.witness.image,
            "writer": self.witness.writer,
        }
        text = json.dumps(fields, separators=(",", ":")).encode()
        assert len(text) <= SLOT_BYTES - _HEAD.size, "a witness outgrew its slot"
        return _HEAD.pack(_MAGIC, self.serial, len(text), _checksum(self.serial, text)) + text


BLANK: Final = Page(0, DiskWitness())


def read_page(block: bytes | bytearray) -> Page | None:
    """Find the newest page of a witness block; None when it has none."""
    pages = [page for start in (0, SLOT_BYTES) if (page := _decode(block[start : start + SLOT_BYTES]))]
    return max(pages, key=lambda page: page.serial, default=None)


def _checksum(serial: int, text: bytes | bytearray) -> int:
    return zlib.crc32(text, serial & 0xFFFFFFFF)


def _decode(slot: bytes | bytearray) -> Page | None:
    if len(slot) < _HEAD.size:
        return None
    magic, serial, length, checksum = _HEAD.unpack_from(slot)
    text = slot[_HEAD.size : _HEAD.size + length]
    if magic != _MAGIC or len(text) != length or _checksum(serial, text) != checksum:
        return None
    try:
        return Page(serial, _witness(text))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None  # Well sealed, but no witness of ours: a stranger's image may say anything.


def _witness(text: bytes | bytearray) -> DiskWitness:
    fields = json.loads(text)
    boots = tuple(Boot(host=host, permit=permit, number=number) for host, permit, number in fields["boots"])
    return DiskWitness(counter=fields["counter"], boots=boots, image=fields["image"], writer=fields["writer"])


class DiskMaker:
    """Turns an image's bytes, chunk by chunk, into those of a disk."""

    def __init__(self, image: str, *, boots: tuple[Boot, ...] | None = None) -> None:
        """Make a disk that tells of the image's starts; with `boots` of these instead."""
        self._image = image
        self._boots = boots
        self._start: bytearray | None = bytearray()

    def feed(self, chunk: bytes) -> bytes:
        """Take the next bytes of the image and give the next of the disk."""
        if self._start is None:
            return chunk
        self._start += chunk
        return self.finish() if len(self._start) >= WITNESS_BYTES else b""

    def finish(self) -> bytes:
        """Give the bytes that are left when the image has ended."""
        if self._start is None:
            return b""
        start, self._start = self._start, None
        page = read_page(start) if len(start) >= WITNESS_BYTES else None
        if page is None:
            start, page = bytearray(WITNESS_BYTES) + start, BLANK
        boots = page.witness.boots if self._boots is None else self._boots
        write_page(start, page.after(replace(page.witness, image=self._image, boots=boots)))
        return bytes(start)


def write_page(content: bytearray, page: Page) -> None:
    """Write the page into bytes in memory, which grow to hold the block."""
    content.extend(bytes(max(0, WITNESS_BYTES - len(content))))
    data = page.encode()
    content[page.offset : page.offset + len(data)] = data
