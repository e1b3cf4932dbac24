"""What the simulator has: its faults, its probes and its checkers, each with its meaning."""

from protocol.invariants import INVARIANTS
from sim.checkers import ORACLES
from sim.faults import MEANINGS
from sim.probes import PROBES

Row = dict[str, str]


def faults() -> list[Row]:
    """List the kinds of fault: whom each befalls, what it does, and when one that fired also mattered."""
    return [
        {"name": str(kind), "befalls": str(meaning.family), "does": meaning.text, "matters when": meaning.matters}
        for kind, meaning in MEANINGS.items()
    ]


def probes() -> list[Row]:
    """List the probes."""
    return [{"name": probe.name, "reached when": probe.text} for probe in PROBES]


def checkers() -> list[Row]:
    """List the invariants, then the oracles with their letters in the reference."""
    invariants = [{"name": name, "kind": "invariant", "promise": each.text} for name, each in INVARIANTS.items()]
    oracles = [
        {"name": name, "kind": f"oracle {oracle.letters}", "promise": " ".join(oracle.text().split())}
        for name, oracle in ORACLES.items()
    ]
    return [*invariants, *oracles]
