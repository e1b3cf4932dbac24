"""A state machine of a live cloud: users and weather take turns, and after each turn every promise is looked at."""

from __future__ import annotations

from itertools import count
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from protocol.methods import METHODS
from sim.cases.layout import Layout
from sim.cases.places import DRIVER_CALLS, conductor_of, crash_points, links, process_names
from sim.cases.workload import Act
from sim.faults import Fault, FaultKind
from tests.properties.live import Live

LAYOUT: Final = Layout.tree(cells=4, hosts=3)
WEB: Final = "web"
EXTRA: Final = "extra"
SPARE: Final = "spare"
CONDUCTOR: Final = conductor_of(LAYOUT)
#: The conductor drives every move: it gets a good share of what befalls processes.
PROCESSES: Final = (CONDUCTOR, CONDUCTOR, CONDUCTOR, *process_names(LAYOUT))

ACTS: Final = st.sampled_from([str(act) for act in Act if act is not Act.CREATE])
SERVERS: Final = st.sampled_from([WEB, "db"])
ACTORS: Final = st.sampled_from(PROCESSES)
LINKS: Final = st.sampled_from(links(LAYOUT))
METHOD_NAMES: Final = st.sampled_from(sorted(METHODS))
POINTS: Final = st.sampled_from([point for point in crash_points() if not point.endswith("/before")])
HOSTS: Final = st.sampled_from(list(LAYOUT.hosts))
CALLS: Final = st.sampled_from(DRIVER_CALLS)
MISHAPS: Final = st.sampled_from(["lose", "double", "double_late", "delay", "confirm_lost"])
STORE_FAULTS: Final = st.sampled_from(["store_error", "store_unsure", "fsync_lost"])
#: How long a turn takes: mostly so little that the next one finds something under way.
TIMES_S: Final = st.sampled_from([0.0, 0.1, 1.0, 5.0, 30.0])
SPELLS_S: Final = st.sampled_from([1.0, 5.0, 20.0])
LATE_S: Final = 20.0


class Moves(RuleBasedStateMachine):
    """Users and weather.  Each rule is one turn, after which some time passes."""

    def __init__(self) -> None:
        super().__init__()
        self._live: Live | None = None
        self._numbers = count(1)
        #: The ids that servers go by now.  One that somebody asked to delete is never created again, as with UUIDs.
        self._ids: dict[str, str] = {}
        self._deleted: set[str] = set()

    @property
    def live(self) -> Live:
        assert self._live is not None, "the cloud is brought up first"
        return self._live

    @initialize(seed=st.integers(0, 9), is_volume_backed=st.booleans(), is_stopped=st.booleans())
    def bring_up(self, seed: int, is_volume_backed: bool, is_stopped: bool) -> None:
        self._live = live = Live(LAYOUT, seed=seed)
        for volume in ("root-web", "root-db", "data-web", "data-db", EXTRA, SPARE):
            live.settle(live.stage.register_volume(volume))
        live.carry_out(Act.CREATE, WEB, host="h1", volume="data-web", is_volume_backed=is_volume_backed)
        if is_stopped:
            live.carry_out(Act.STOP, WEB)

    # --- users -------------------------------------------------------------------------------------------------

    @rule(server=SERVERS, then_s=TIMES_S)
    def create(self, server: str, then_s: float) -> None:
        if self._id(server) in self._deleted:
            self._ids[server] = f"{server}-{next(self._numbers)}"
        # The volume may be its predecessor's still, to whom it was attached: that would be refused, and rightly so.
        volume = f"data-{server}" if server not in self._ids else ""
        self.live.order(Act.CREATE, self._id(server), volume=volume)
        self.live.pass_time(then_s)

    @rule(act=ACTS, then_s=TIMES_S)
    def order(self, act: str, then_s: float) -> None:
        self._order(act, WEB)
        self.live.pass_time(then_s)

    @rule(server=SERVERS, act=ACTS, then_s=TIMES_S)
    def order_of_any(self, server: str, act: str, then_s: float) -> None:
        self._order(act, server)
        self.live.pass_time(then_s)

    @rule(act=ACTS, then_s=TIMES_S)
    def order_twice(self, act: str, then_s: float) -> None:
        self._order(act, WEB)
        self._order(act, WEB)
        self.live.pass_time(then_s)

    @rule(then_s=TIMES_S)
    def confirm_and_revert(self, then_s: float) -> None:
        self._order(Act.CONFIRM, WEB)
        self._order(Act.REVERT, WEB)
        self.live.pass_time(then_s)

    def _order(self, act: str, server: str) -> None:
        volume = EXTRA if act in {Act.ATTACH, Act.DETACH, Act.SWAP} else ""
        replacement = SPARE if act == Act.SWAP else ""
        self.live.order(Act(act), self._id(server), volume=volume, replacement=replacement, device="/dev/vdc")
        if act == Act.DELETE:
            self._deleted.add(self._id(server))

    def _id(self, server: str) -> str:
        """Give the id that a server goes by."""
        return self._ids.get(server, server)

    # --- processes and links -----------------------------------------------------------------------------------

    @rule(actor=ACTORS, down_s=SPELLS_S, then_s=TIMES_S)
    def kill(self, actor: str, down_s: float, then_s: float) -> None:
        self.live.do(lambda: self.live.weather.kill(actor, down_s=down_s))
        self.live.pass_time(then_s)

    @rule(actor=ACTORS, point=POINTS, then_s=TIMES_S)
    def kill_at(self, actor: str, point: str, then_s: float) -> None:
        self.live.do(lambda: self.live.weather.kill(actor, at=point))
        self.live.pass_time(then_s)

    @rule(actor=ACTORS, for_s=SPELLS_S, then_s=TIMES_S)
    def pause(self, actor: str, for_s: float, then_s: float) -> None:
        self._fault(FaultKind.PAUSE, where=actor, for_s=for_s)
        self.live.pass_time(then_s)

    @rule(for_s=SPELLS_S, then_s=TIMES_S)
    def usurp(self, for_s: float, then_s: float) -> None:
        self._fault(FaultKind.USURP, where=CONDUCTOR, for_s=for_s)
        self.live.pass_time(then_s)

    @rule(link=LINKS, is_one_way=st.booleans(), then_s=TIMES_S)
    def cut(self, link: tuple[str, str], is_one_way: bool, then_s: float) -> None:
        self.live.do(lambda: self.live.weather.cut(*link, one_way=is_one_way))
        self.live.pass_time(then_s)

    @rule(then_s=TIMES_S)
    def heal(self, then_s: float) -> None:
        self.live.do(self.live.weather.heal)
        self.live.pass_time(then_s)

    # --- messages, hypervisors, stores -------------------------------------------------------------------------

    @rule(mishap=MISHAPS, method=METHOD_NAMES, then_s=TIMES_S)
    def mishap_to_next(self, mishap: str, method: str, then_s: float) -> None:
        self._fault(FaultKind(mishap), point=method, amount_s=LATE_S)
        self.live.pass_time(then_s)

    @rule(host=HOSTS, call=CALLS, how=st.sampled_from(["refuses", "dirty", "answer_lost", "late"]), then_s=TIMES_S)
    def driver_fails_next(self, host: str, call: str, how: str, then_s: float) -> None:
        self.live.do(lambda: self.live.weather.fail(host, call, how=how))
        self.live.pass_time(then_s)

    @rule(actor=ACTORS, kind=STORE_FAULTS, then_s=TIMES_S)
    def store_fails_next(self, actor: str, kind: str, then_s: float) -> None:
        self._fault(FaultKind(kind), where=actor)
        self.live.pass_time(then_s)

    def _fault(self, kind: FaultKind, **fields: Any) -> None:
        fault = Fault(kind=kind, name=f"{kind}-{next(self._numbers)}-drawn", **fields)
        self.live.do(lambda: self.live.weather.inject(fault))

    # --- time --------------------------------------------------------------------------------------------------

    @rule(for_s=st.sampled_from([0.01, 1.0, 10.0, 60.0]))
    def wait(self, for_s: float) -> None:
        self.live.pass_time(for_s)

    # --- judgement ---------------------------------------------------------------------------------------------

    @invariant()
    def every_promise_holds(self) -> None:
        if self._live is not None:
            self.live.see()
            self._judge()

    def teardown(self) -> None:
        if self._live is None:
            return
        try:
            if not self.live.breaches and not self.live.failures:
                self.live.rest()
                self._judge()
        finally:
            self.live.close()

    def _judge(self) -> None:
        lines = [f"{each.invariant} of {each.server} (line {each.step}): {each.text}" for each in self.live.breaches]
        assert not [*lines, *self.live.failures], "\n".join([*lines, *self.live.failures])
