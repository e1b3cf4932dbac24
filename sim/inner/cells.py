"""The actors of the inner level that own records: cells, with their outboxes, and the three partners."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

from actors.kernel.outbox import BUDGET_S, PAUSE_FIRST_S, PAUSE_MAX_S
from protocol.cell_path import Address
from protocol.draft import need
from protocol.effects import table
from protocol.effects.imaging import is_own, surplus
from protocol.effects.news import news
from protocol.effects.registry import Moment, apply, gather
from protocol.errors import CellferryError, ImageDamaged, revive
from protocol.messages.imaging import PublishSnapshot, RotateBackups, WithdrawSnapshot
from protocol.messages.partners import DeleteImage, VerifyImage
from protocol.messages.root import RegisterHost
from protocol.records import BlockDevice, Fault, Image, Server
from sim.inner.actors import Actor, Ensuring, Working
from sim.inner.memory import Command
from sim.inner.patience import Patience
from sim.inner.stores import SIZE_BYTES, digest_of_disk

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol.cell_path import CellPath
    from protocol.draft import Changes, News
    from protocol.requests import Request
    from sim.inner.memory import Reply
    from sim.inner.messages import Question
    from sim.inner.setting import Setting
    from sim.inner.stores import Stores

#: How long news may lie in an outbox before it is sent: of one row's, only the newest that lies there goes.
LINGER_S: Final = (0.001, 0.5)
#: Changes of these are news.
TOLD_OF: Final = frozenset({Server, BlockDevice, Fault})


class Cell(Actor):
    """The actor that owns a cell's records; in the root also the mapping, the permits and the mirror."""

    def __init__(self, cell: CellPath, setting: Setting, *, root: Cell | None) -> None:
        super().__init__(Address(cell, "cell"), setting)
        self._root = root or self
        self.effects = frozenset((*table.CELL, *(table.ROOT if root is None else ())))
        self.outbox: list[News] = []
        self.conductor_of: Callable[[], Actor] | None = None  # The root's cell hands orders on to one.
        self._moment = Moment(now_us=0, cell=self._path, key="")
        self._asked: Question | None = None
        self._is_pumping = False
        self._pause_s = PAUSE_FIRST_S
        self._patience = Patience(self.process, setting.agenda, is_asked=self.waits_for, give_up=self._give_up)
        self.process.when_crashed.append(self._drop_pump)
        self.process.when_started.append(self._pump)

    # --- the outbox --------------------------------------------------------------------------------------------

    def tell(self, changes: Changes) -> None:
        """Put into the outbox what the root is to hear of."""
        if changes.tells or any(type(row) in TOLD_OF for row in (*changes.puts, *changes.drops)):
            for item in news(changes, self._moment):
                if not isinstance(item.request, RegisterHost):  # Hosts are told of once, when the world is made.
                    self._put_out(item)

    def _put_out(self, item: News) -> None:
        # Never in the place of newer news: which of the two is newer, the root is to find out.
        waiting = self.outbox
        for at in range(len(waiting) - 1, 0 if self._asked else -1, -1):
            older = waiting[at]
            if older.id == item.id or (item.about and older.about == item.about):
                if older.rank <= item.rank:
                    waiting[at] = item
                    return
                break
        waiting.append(item)
        if not self._is_pumping:
            self._is_pumping = True
            low, high = LINGER_S
            linger_s = low + (high - low) * self.setting.chance.uniform("linger", self.name, _name(item), item.rank)
            self.process.later(linger_s, self._pump)

    def _pump(self) -> None:
        self._is_pumping = bool(self.outbox)
        if not self.outbox:
            return
        item, receiver = self.outbox[0], self._receiver(self.outbox[0])
        self._asked = self.setting.network.ask(
            self, item.request, to=receiver.process, cell=receiver.cell, receive=receiver.receive,
            about=f"news:{self.name}:{_name(item)}:{item.rank}", budget_s=BUDGET_S, server=item.server,
            command=Command(item.key, str(item.key), item.server, 0, item.request) if item.key else None,
        )  # fmt: skip
        self._patience.begin(self._asked)

    def _receiver(self, item: News) -> Actor:
        if item.target == self._root.me:
            return self._root
        assert self.conductor_of is not None, "only the root's cell tells others than the root"
        return self.conductor_of()

    def _drop_pump(self) -> None:
        self._asked, self._is_pumping = None, False

    def _give_up(self, question: Question) -> None:
        if self._asked is question:
            self._try_again()

    def _try_again(self) -> None:
        self._asked = None
        self.process.later(self._pause_s, self._pump)
        self._pause_s = min(PAUSE_MAX_S, 2 * self._pause_s)

    # --- asking ------------------------------------------------------------------------------------------------

    def waits_for(self, question: Question) -> bool:
        """Tell whether the answer to a question is still waited for."""
        return self._asked is question

    def take(self, question: Question, reply: Reply) -> None:
        """Take the root's word that it has heard."""
        if self._asked is not question:
            return
        if reply.is_error and revive(reply.value).is_retryable:
            self._try_again()
            return
        self._asked, self._pause_s = None, PAUSE_FIRST_S
        self.outbox.pop(0)
        self._pump()

    def fail(self, question: Question, _error: CellferryError) -> None:
        """Hear that news went nowhere."""
        self._give_up(question)


def _name(item: News) -> str:
    return item.about or item.id


class ImageActor(Actor):
    """The actor that owns images."""

    def __init__(self, root: CellPath, setting: Setting, stores: Stores) -> None:
        super().__init__(Address(root, "image"), setting)
        self._stores = stores
        self.effects = frozenset(table.IMAGE) - self.ensurings.keys()

    @cached_property
    def ensurings(self) -> dict[type[Request[Any]], Ensuring]:
        """List what it cannot do in a transaction."""
        return {
            VerifyImage: Ensuring(ensure=self._compare, settle=self._enter),
            DeleteImage: Ensuring(ensure=self._remove, settle=self._enter),
            PublishSnapshot: Ensuring(ensure=self._compare, settle=self._enter),
            WithdrawSnapshot: Ensuring(ensure=self._remove_own, settle=self._enter),
            RotateBackups: Ensuring(ensure=self._remove_old, settle=self._enter),
        }

    def _compare(self, request: VerifyImage | PublishSnapshot, _moment: Moment) -> Working:
        look = partial(self._stores.images.get, request.image)
        found = yield from self._stores.image.call("digest", request.image, look, by=self.name)
        expected = f"{request.size_bytes} bytes, sha256 {request.sha256}"
        actual = f"{SIZE_BYTES} bytes, sha256 {digest_of_disk(found)}" if found else "nothing"
        if actual != expected:
            raise ImageDamaged(image=request.image, expected=expected, found=actual)

    def _remove(self, request: DeleteImage, _moment: Moment) -> Working:
        yield from self._delete(request.image)

    def _remove_own(self, request: WithdrawSnapshot, _moment: Moment) -> Working:
        if is_own(self.rows.find(Image, request.image), request):
            yield from self._delete(request.image)

    def _remove_old(self, request: RotateBackups, _moment: Moment) -> Working:
        images = self.rows.load((need(Image, source=request.server),))
        for image in surplus(tuple(row for row in images if isinstance(row, Image)), request):
            yield from self._delete(image.id)

    def _delete(self, image: str) -> Working:
        delete = partial(self._stores.images.pop, image, None)
        yield from self._stores.image.call("delete", image, delete, by=self.name)

    def _enter(self, request: Request[Any], _checked: None, moment: Moment) -> Any:
        needs, rows = gather(request, self.rows.load)
        changes, value = apply(rows, request, moment, needs=needs)
        self.rows.save(changes)
        return value


class RecordActor(Actor):
    """The actor that owns volumes and attachments, or that of ports and bindings."""

    def __init__(self, root: CellPath, name: str, setting: Setting, effects: tuple[type[Request[Any]], ...]) -> None:
        super().__init__(Address(root, name), setting)
        self.effects = frozenset(effects)
