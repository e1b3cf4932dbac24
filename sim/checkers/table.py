"""All oracles, by name: what the docs list, and of which each needs a planted bug that it alone was made to catch."""

from collections.abc import Mapping
from typing import Final

from sim.checkers import (
    changes,
    disks,
    effects,
    gathers,
    guests,
    health,
    journals,
    leases,
    notices,
    orders,
    records,
    volumes,
    wire,
)
from sim.checkers.oracle import Oracle

_ALL: Final[tuple[type[Oracle], ...]] = (
    guests.OneHost,
    guests.PermitsRise,
    guests.PermitHeld,
    guests.DestroyLast,
    guests.SnapshotKept,
    disks.DiskTravels,
    volumes.LetGoFirst,
    volumes.CopiesWhole,
    records.StatusGraph,
    records.OneOpenMove,
    records.HistoryKept,
    notices.ToldOnce,
    notices.FaultsKept,
    journals.OneTaker,
    journals.OneWriter,
    journals.EpochsRise,
    journals.UndoOrder,
    journals.UndoWhole,
    journals.OneDirection,
    leases.TakenOverInTime,
    leases.LeftAlone,
    effects.IntentFirst,
    effects.EpochsFence,
    effects.CarriedOnce,
    effects.ReplyConstant,
    effects.UndoPoisons,
    effects.OutcomesTrue,
    effects.ClosedLast,
    wire.Hops,
    wire.FramesConserved,
    wire.PassedOn,
    wire.AckAfterCommit,
    wire.NoRetries,
    gathers.BroadcastOnce,
    gathers.OneAnswerACell,
    gathers.AnswersReachAsker,
    orders.AcknowledgedKept,
    orders.DeletesHold,
    changes.ChangesKept,
    orders.EndsInTime,
    orders.ParkedTruly,
    health.HealthySucceeds,
    health.NoMistakes,
)

ORACLES: Final[Mapping[str, type[Oracle]]] = {oracle.name: oracle for oracle in _ALL}
assert len(ORACLES) == len(_ALL), "two oracles have one name"
