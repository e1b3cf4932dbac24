"""Stores of images and volumes that take their time and fail; shared by all processes that call them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Final, TypeVar

from anyio.lowlevel import checkpoint

from actors.partners.memory import MemoryImages
from protocol.errors import CellferryError, Unavailable
from sim.edges.outside import Outside, Turn, live
from sim.faults import FaultKind

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Mapping

    from actors.partners.memory import MemoryVolumes
    from actors.partners.ports import ImageDigest
    from sim.chance import Chance
    from sim.history import History
    from sim.injector import Injector
    from sim.process import Process

T = TypeVar("T")

EARLY: Final = 0.5

#: How long each call takes, from and to, in virtual seconds.
IMAGE_DURATIONS_S: Final[Mapping[str, tuple[float, float]]] = {
    "write": (0.1, 0.5),
    "read": (0.05, 0.2),
    "digest": (0.01, 0.05),
    "delete": (0.05, 0.2),
    "names": (0.01, 0.05),
}
VOLUME_DURATIONS_S: Final[Mapping[str, tuple[float, float]]] = {
    "create": (0.05, 0.2),
    "exists": (0.01, 0.05),
    "delete": (0.05, 0.2),
    "names": (0.01, 0.05),
}


class _Calls:
    """How a partner's calls go: they fail before, after, or not at all."""

    def __init__(self, outside: Outside) -> None:
        self.outside = outside
        self.process: Process | None = None

    @property
    def _caller(self) -> str:
        return self.process.name if self.process else ""

    def for_process(self, process: Process) -> _Calls:
        view = copy.copy(self)
        view.process = process
        return view

    async def call(
        self, call: str, about: str, act: Callable[[], Awaitable[T]], seen: Callable[[], object] | None = None
    ) -> T:
        """Make a call; `seen` tells what it may change."""
        turn = await self.begin(call, about)
        # Done early or late: so a process that is killed while it waits leaves it done, or not.
        is_early = self.outside.hits(EARLY, "early", turn)
        try:
            if not is_early:
                await self.wait(turn)
            result = await self._act(turn, act, seen)
            if is_early:
                await self.wait(turn)
        except CellferryError as error:
            self.outside.called(turn, process=self._caller, error=error.code)
            raise
        self.outside.called(turn, process=self._caller)
        return result

    async def begin(self, call: str, about: str) -> Turn:
        """Count a call, and refuse it if that is the plan."""
        turn = self.outside.turn(call, about)
        await checkpoint()
        await live(self.process)
        if (fault := self.outside.strike(FaultKind.PARTNER_REFUSES, turn)) is not None:
            self.outside.note(fault, turn, mattered=True, process=self._caller)
            self.outside.called(turn, process=self._caller, error=Unavailable.code)
            raise self._unavailable("it refused")
        return turn

    async def wait(self, turn: Turn) -> None:
        """Let a call's time pass."""
        await self.outside.wait(turn, self.outside.pace(turn, slow=FaultKind.PARTNER_SLOW), self.process)
        await live(self.process)

    async def _act(self, turn: Turn, act: Callable[[], Awaitable[T]], seen: Callable[[], object] | None) -> T:
        fault = self.outside.strike(FaultKind.PARTNER_UNSURE, turn) if seen is not None else None
        if fault is None or seen is None:
            return await act()
        before = seen()
        try:
            await act()
        finally:
            self.outside.note(fault, turn, mattered=seen() != before, process=self._caller)
        raise self._unavailable("it broke off")

    def _unavailable(self, reason: str) -> Unavailable:
        return Unavailable(what=f"the {self.outside.place} store", reason=reason)


class _Peeking(MemoryImages):
    """The images as they are now: what it is asked it answers without suspending, and nothing notices."""

    def __init__(self, inner: MemoryImages) -> None:
        super().__init__()
        self._images = inner._images  # noqa: SLF001 - the same images, read without a turn of the loop.

    async def digest(self, image: str) -> ImageDigest | None:
        kept = self._images.get(image)
        return kept[1] if kept else None

    async def names(self) -> tuple[str, ...]:
        return self.kept()

    def kept(self) -> tuple[str, ...]:
        return tuple(sorted(self._images))

    def content(self, image: str) -> bytes | None:
        kept = self._images.get(image)
        return kept[0] if kept else None


class SimImages:
    """Where images are kept, as its callers find it."""

    def __init__(
        self, inner: MemoryImages, *, history: History, injector: Injector, chance: Chance,
        durations: Mapping[str, tuple[float, float]] = IMAGE_DURATIONS_S, scale: float = 1.0,
    ) -> None:  # fmt: skip
        """Wrap images; `scale` stretches the durations, 0: instantly."""
        self.inner = inner
        self.peeking = _Peeking(inner)
        self.calls = _Calls(
            Outside(
                place="image", where="image", durations={**IMAGE_DURATIONS_S, **durations}, scale=scale,
                history=history, injector=injector, chance=chance,
            )
        )  # fmt: skip

    def for_process(self, process: Process) -> SimImages:
        """Give the image store as a process calls it."""
        view = copy.copy(self)
        view.calls = self.calls.for_process(process)
        return view

    def kept(self) -> tuple[str, ...]:
        """List the images, now."""
        return self.peeking.kept()

    def content(self, image: str) -> bytes | None:
        """Give an image's bytes, now; None when there is none."""
        return self.peeking.content(image)

    async def write(self, image: str, chunks: AsyncIterable[bytes]) -> ImageDigest:
        """Keep the bytes as a whole or not at all."""
        return await self.calls.call(
            "write", image, lambda: self.inner.write(image, chunks), lambda: self.content(image)
        )

    async def read(self, image: str) -> AsyncGenerator[bytes, None]:
        """Give the bytes in chunks; a process that was killed reads no further."""
        turn = await self.calls.begin("read", image)
        await self.calls.wait(turn)
        caller = self.calls.process.name if self.calls.process else ""
        try:
            async for chunk in self.inner.read(image):
                await live(self.calls.process)
                yield chunk
        except CellferryError as error:
            self.calls.outside.called(turn, process=caller, error=error.code)
            raise
        self.calls.outside.called(turn, process=caller)

    async def digest(self, image: str) -> ImageDigest | None:
        """Give the digest as of the write."""
        return await self.calls.call("digest", image, lambda: self.inner.digest(image))

    async def delete(self, image: str) -> None:
        """Forget the image."""
        await self.calls.call("delete", image, lambda: self.inner.delete(image), lambda: self.content(image))

    async def names(self) -> tuple[str, ...]:
        """List the images by name."""
        return await self.calls.call("names", "", self.inner.names)


class SimVolumes:
    """Where the bytes of volumes are kept, as its callers find it.  Hosts reach them by `inner`."""

    def __init__(
        self, inner: MemoryVolumes, *, history: History, injector: Injector, chance: Chance,
        durations: Mapping[str, tuple[float, float]] = VOLUME_DURATIONS_S, scale: float = 1.0,
    ) -> None:  # fmt: skip
        """Wrap volumes; `scale` stretches the durations, 0: instantly."""
        self.inner = inner
        self.calls = _Calls(
            Outside(
                place="volume", where="volume", durations={**VOLUME_DURATIONS_S, **durations}, scale=scale,
                history=history, injector=injector, chance=chance,
            )
        )  # fmt: skip

    def for_process(self, process: Process) -> SimVolumes:
        """Give the volume store as a process calls it."""
        view = copy.copy(self)
        view.calls = self.calls.for_process(process)
        return view

    def content(self, path: str) -> bytearray | None:
        """Give the bytes at a path, now; None when the volume is gone."""
        return self.inner.content(path)

    async def create(self, volume: str, size_bytes: int) -> None:
        """Make a blank volume."""
        await self.calls.call(
            "create", volume, lambda: self.inner.create(volume, size_bytes), lambda: self._is_there(volume)
        )

    def path(self, volume: str) -> str:
        """Tell the volume's path."""
        return self.inner.path(volume)

    async def exists(self, volume: str) -> bool:
        """Tell whether there is such a volume."""
        return await self.calls.call("exists", volume, lambda: self.inner.exists(volume))

    async def delete(self, volume: str) -> None:
        """Forget the volume."""
        await self.calls.call("delete", volume, lambda: self.inner.delete(volume), lambda: self._is_there(volume))

    async def names(self) -> tuple[str, ...]:
        """List the volumes by name."""
        return await self.calls.call("names", "", self.inner.names)

    def _is_there(self, volume: str) -> bool:
        return self.inner.content(volume) is not None
