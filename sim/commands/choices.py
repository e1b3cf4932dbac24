"""What a person chooses on the command line: the cloud, the faults, and on which level they are run."""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import attrs
import click

from protocol.errors import CellferryError
from sim.cases.case import Case
from sim.cases.layout import Layout
from sim.cases.swarm import case_of
from sim.commands.levels import Level
from sim.faults import FaultKind

CELLS: Final = 4
HOSTS: Final = 5
SERVERS: Final = 2
MINUTES: Final = 10.0
SERVERS_MAX: Final = 100
MINUTES_MAX: Final = 60.0 * 24 * 7
SWARM: Final = "swarm"
ALL: Final = "all"
NONE: Final = "none"
DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
UNITS_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
SEEDS: Final = re.compile(r"(\d+)-(\d+)")


@attrs.frozen(kw_only=True)
class Choices:
    """What every run of a command has in common."""

    cells: int = CELLS
    hosts: int = HOSTS
    servers: int = SERVERS
    minutes: float = MINUTES
    faults: str = SWARM
    cloud: str = ""
    is_inner: bool = False

    def __attrs_post_init__(self) -> None:
        """Refuse what no world can be made of."""
        if not 1 <= self.servers <= SERVERS_MAX:
            raise click.BadParameter(f"{self.servers} is not from 1 to {SERVERS_MAX}", param_hint="--servers")
        if not (math.isfinite(self.minutes) and 0 < self.minutes <= MINUTES_MAX):
            raise click.BadParameter(
                f"{self.minutes} is not above 0 and at most {MINUTES_MAX:g}", param_hint="--minutes"
            )
        _ = self.layout, self.kinds

    @property
    def layout(self) -> Layout:
        """Make the cloud."""
        try:
            if self.cloud:
                return Layout.load(Path(self.cloud))
            return Layout.tree(cells=self.cells, hosts=self.hosts)
        except CellferryError as error:
            raise click.UsageError(str(error)) from error
        except OSError as error:
            raise click.BadParameter(f"{self.cloud}: {error.strerror}", param_hint="--cloud") from error

    @property
    def kinds(self) -> tuple[FaultKind, ...] | None:
        """Name the kinds of fault that are on; None where each seed chooses."""
        match self.faults:
            case "swarm":
                return None
            case "all":
                return tuple(FaultKind)
            case "none":
                return ()
            case _:
                return tuple(_kind(name.strip()) for name in self.faults.split(","))

    @property
    def level(self) -> Level:
        """Tell how cases are run."""
        return Level(is_inner=self.is_inner, layout=self.layout_of_cases)

    @property
    def layout_of_cases(self) -> Layout | None:
        """Give the cloud of all cases, if that is not the one that each of them tells of."""
        return self.layout if self.cloud else None

    def case(self, seed: int) -> Case:
        """Make a seed's case."""
        return case_of(
            seed, cells=self.cells, hosts=self.hosts, servers=self.servers, minutes=self.minutes, kinds=self.kinds,
            layout=self.layout_of_cases,
        )  # fmt: skip

    def options(self) -> tuple[str, ...]:
        """Write the options that say the same, leaving out what is so by itself."""
        return tuple(self._options())

    def of_a_case(self) -> tuple[str, ...]:
        """Write the options that a case does not tell."""
        return (*(("--cloud", self.cloud) if self.cloud else ()), *(("--inner",) if self.is_inner else ()))

    def _options(self) -> Iterator[str]:
        default = Choices()
        for name in ("cells", "hosts", "servers", "minutes", "faults"):
            if getattr(self, name) != getattr(default, name):
                value: Any = getattr(self, name)
                yield from (f"--{name}", f"{value:g}" if isinstance(value, float) else str(value))
        yield from self.of_a_case()


def _kind(name: str) -> FaultKind:
    try:
        return FaultKind(name)
    except ValueError:
        known = ", ".join(sorted(FaultKind))
        text = f"there is no fault called {name!r}; there are {SWARM}, {ALL}, {NONE}, and these: {known}"
        raise click.BadParameter(text, param_hint="--faults") from None


class Duration(click.ParamType[float]):
    """A time such as 90s, 10m or 1h30m, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it."""
        if isinstance(value, float):
            return value
        parts = DURATION.findall(value)
        if not parts or "".join(number + unit for number, unit in parts) != value:
            self.fail(f"{value!r} is no duration: write it like 90s, 10m or 1h30m", param, ctx)
        return sum(float(number) * UNITS_S[unit] for number, unit in parts)


class Seeds(click.ParamType[range]):
    """A range of seeds such as 1-1000, both included."""

    name = "seeds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> range:
        """Read it."""
        if isinstance(value, range):
            return value
        match = SEEDS.fullmatch(value)
        if match is None or int(match[1]) > int(match[2]):
            self.fail(f"{value!r} is no range of seeds: write it like 1-1000, the smaller one first", param, ctx)
        return range(int(match[1]), int(match[2]) + 1)
