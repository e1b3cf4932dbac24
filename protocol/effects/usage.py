"""What went over servers' ports: counted by cells from counters that begin anew, told to the root, never backwards."""

from operator import attrgetter
from typing import Final

import attrs

from protocol.draft import Draft, Need, need
from protocol.effects.registry import Moment, effect
from protocol.messages import top
from protocol.messages import usage as say
from protocol.records import Bandwidth, BandwidthUse, Server
from protocol.requests import Done

#: Use is counted by the day.
PERIOD_US: Final = 24 * 3600 * 1_000_000


def _of_report(command: say.ReportTraffic) -> tuple[Need, ...]:
    servers = dict.fromkeys(reading.server for reading in command.readings)
    return tuple(each for server in servers for each in (need(Server, uuid=server), need(BandwidthUse, server=server)))


@effect(say.ReportTraffic, _of_report)
def _report(draft: Draft, command: say.ReportTraffic, moment: Moment) -> Done:
    for reading in command.readings:
        server = draft.find(Server, uuid=reading.server)
        # A host may still have what its server has left; its bytes were counted while it was there.
        if server is not None and server.host == command.host and not server.is_hidden:
            _count(draft, reading, command.host, moment)
    return Done()


def _count(draft: Draft, reading: say.Reading, host: str, moment: Moment) -> None:
    begin_us = moment.now_us // PERIOD_US * PERIOD_US
    rows = draft.all(BandwidthUse, server=reading.server)
    last = max(rows, key=attrgetter("begin_us"), default=_nothing(reading.server, begin_us))
    if reading.boot < last.boot:
        return  # It is late: newer ones have been counted.
    is_new = (reading.boot, host) != (last.boot, last.host)
    since_in = max(0, reading.bytes_in - (0 if is_new else last.last_in))
    since_out = max(0, reading.bytes_out - (0 if is_new else last.last_out))
    if not (since_in or since_out or is_new):
        return
    # A clock that jumped back counts on where it was.
    known = last if last.begin_us >= begin_us else _nothing(reading.server, begin_us)
    for row in rows:
        if row is not last:
            draft.drop(row)
    draft.put(
        attrs.evolve(
            known, boot=reading.boot, host=host, bytes_in=known.bytes_in + since_in,
            bytes_out=known.bytes_out + since_out,
            last_in=max(reading.bytes_in, 0 if is_new else last.last_in),
            last_out=max(reading.bytes_out, 0 if is_new else last.last_out), version=known.version + 1,
            updated_at_us=moment.now_us,
        )
    )  # fmt: skip


def _nothing(server: str, begin_us: int) -> BandwidthUse:
    return BandwidthUse(
        server=server, period=str(begin_us), begin_us=begin_us, bytes_in=0, bytes_out=0, boot=-1, host="", last_in=0,
        last_out=0, version=0, updated_at_us=0,
    )  # fmt: skip


def bandwidth_of(use: BandwidthUse, cell: str) -> Bandwidth:
    """Write what the root is told."""
    return Bandwidth(
        server=use.server, cell=cell, period=use.period, begin_us=use.begin_us, bytes_in=use.bytes_in,
        bytes_out=use.bytes_out, version=use.version,
    )  # fmt: skip


# --- at the root -------------------------------------------------------------------------------------------


@effect(top.UpdateBandwidth, lambda command: (need(Bandwidth, server=command.bandwidth.server),))
def _update(draft: Draft, command: top.UpdateBandwidth, _: Moment) -> Done:
    news = command.bandwidth
    known = draft.find(Bandwidth, server=news.server, cell=news.cell, period=news.period)
    if known is None or known.version < news.version:
        draft.put(news)
    return Done()


@effect(top.ListBandwidth, lambda command: (need(Bandwidth, server=command.server),))
def _list(draft: Draft, command: top.ListBandwidth, _: Moment) -> top.BandwidthList:
    rows = draft.all(Bandwidth, server=command.server)
    return top.BandwidthList(rows=tuple(sorted(rows, key=attrgetter("begin_us", "cell"), reverse=True)))
