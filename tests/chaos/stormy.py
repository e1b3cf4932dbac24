"""`python -m tests.chaos.stormy`: disasters befall a real deployment while all of its servers are being moved."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
from functools import partial
from pathlib import Path

import anyio
import attrs
import click

from tests.actors.cli.clouds import MARK
from tests.chaos.disasters import DISASTERS
from tests.chaos.weather import Result, Weather, deployed
from tests.services import own_postgresql, own_rabbitmq


async def run(directory: Path, options: argparse.Namespace) -> list[Result]:
    """Let each disaster strike once; say what came of it."""
    results = []
    os.environ[MARK] = str(directory)
    with own_rabbitmq() as broker, own_postgresql() as postgresql:
        async with deployed(directory, broker, postgresql, warn=click.echo) as (fleet, scene):
            weather = Weather(fleet, scene, servers=options.servers)
            await weather.begin()
            for name in options.only or DISASTERS:
                results.append(await weather.endure(name, DISASTERS[name]))
                click.echo(line(results[-1]))
    return results


def line(result: Result) -> str:
    """Tell of a disaster in one line, and of what is wrong in a line each."""
    ended = ", ".join(f"{count} {how}" for how, count in sorted(result.ended.items()))
    said = (
        f"{result.disaster}: {result.in_flight} in flight, {result.during} ended in {result.lasted_s:.0f} s,"
        f" all at rest {result.terminal_s:.1f} s after; {ended}"
    )
    return "\n".join([said, *(f"  {problem}" for problem in result.problems)])


def main() -> None:
    """Run, write the figures, and fail when a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.stormy", description=__doc__)
    parser.add_argument("--servers", type=int, default=50, help="how many are moved at once")
    parser.add_argument("--only", action="append", choices=DISASTERS, help="only this disaster; may be repeated")
    parser.add_argument("--report", type=Path, default=Path("build/storms.json"), help="where the figures go")
    options = parser.parse_args()
    # The client library tells of every connection that is lost: they are, on purpose.
    logging.disable()
    with tempfile.TemporaryDirectory(prefix="cellferry-storm-") as directory:
        results = anyio.run(partial(run, Path(directory) / "data", options))
    options.report.parent.mkdir(exist_ok=True)
    options.report.write_text(json.dumps([attrs.asdict(each) for each in results], indent=2), encoding="utf-8")
    if any(result.problems for result in results):
        sys.exit(1)


if __name__ == "__main__":
    main()
