"""What cannot move is refused by name, before anything of it is touched."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.door import BOUND, bars_move, bound_to_host
from protocol.errors import (
    CannotMigrateToSameHost,
    CannotTravel,
    CellferryError,
    DiskTooSmall,
    HostFenced,
    InvalidState,
)
from protocol.messages import moves
from protocol.messages.orders import KEY_MAX, CreateServer
from protocol.messages.servers import Origin
from protocol.records import Flavor, KeyPair, Server
from protocol.states import Goal, VmState
from tests.protocol.effects.ledger import Ledger

ORIGIN = Origin(request_id="r", user="u", project="p")
PLAIN = Flavor(name="small", vcpus=1, memory_mb=512, disk_gb=5)
SERVER = Server(
    uuid="s1", name="web", project="p", user="u", image="cirros", flavor=PLAIN, host="h1", vm_state=VmState.ACTIVE,
    created_at_us=0, updated_at_us=0,
)  # fmt: skip
HARMLESS = {"hw:cpu_policy": "shared", "hw:mem_page_size": "any", "quota:cpu_shares": "10"}
sizes = st.integers(1, 40)
specs = st.dictionaries(
    st.sampled_from([*BOUND, "resources:VGPU", "resources:VCPU", "quota:cpu_shares"]),
    st.sampled_from(["", "shared", "small", "any", "gpu"]),
)
flavors = st.builds(
    Flavor, name=st.sampled_from(["small", "big"]), vcpus=sizes, memory_mb=sizes, disk_gb=sizes,
    ephemeral_gb=st.integers(0, 1), swap_mb=st.integers(0, 1), extra_specs=specs,
)  # fmt: skip
servers = st.builds(
    lambda flavor, image: attrs.evolve(SERVER, flavor=flavor, image=image), flavors, st.sampled_from(["", "cirros"])
)


@given(
    server=servers, flavor=st.none() | flavors, host=st.sampled_from([None, "h1", "h2"]), is_host_fenced=st.booleans()
)
def test_a_server_moves_unless_something_of_it_would_stay_behind_or_it_would_stay_where_and_what_it_is(
    server: Server, flavor: Flavor | None, host: str | None, is_host_fenced: bool
) -> None:
    """One reason is enough; a server that is bound to its host hears of that first."""
    found = bars_move(server, flavor=flavor, host=host, is_host_fenced=is_host_fenced)
    wanted: type[CellferryError] | None = None
    if any((*bound_to_host(server.flavor), *bound_to_host(flavor or server.flavor))):
        wanted = CannotTravel
    elif host == "h1":
        wanted = CannotMigrateToSameHost
    elif is_host_fenced and server.image:
        wanted = HostFenced
    elif flavor == server.flavor:
        wanted = InvalidState
    elif flavor is not None and server.image and flavor.disk_gb < server.flavor.disk_gb:
        wanted = DiskTooSmall
    assert (type(found) if found else None) is wanted


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"ephemeral_gb": 1}, ["an ephemeral disk"]),
        ({"swap_mb": 1}, ["a swap disk"]),
        ({"extra_specs": HARMLESS}, []),
        ({"extra_specs": {"accel:device_profile": "small"}}, ["accelerators"]),
        ({"extra_specs": {"hw:cpu_policy": "small"}}, ["CPUs of its own"]),
        (
            {"extra_specs": {"resources:VGPU": "1", "resources1:CUSTOM_X": "2"}},
            ["VGPU of its host", "CUSTOM_X of its host"],
        ),
        ({"extra_specs": {"resources:VCPU": "2", "resources:VGPU": "0", "trait:COMPUTE_X": "required"}}, []),
        *(({"extra_specs": {spec: "1"}}, [what]) for spec, what in BOUND.items()),
    ],
)
def test_what_binds_a_server_to_its_host_is_named(more: dict[str, Any], named: list[str]) -> None:
    """Values that ask for nothing bind nothing."""
    assert list(bound_to_host(attrs.evolve(PLAIN, **more))) == named


def test_a_move_that_is_barred_leaves_the_record_as_it_was() -> None:
    """The cell refuses it: no task, no action."""
    bound = attrs.evolve(SERVER, flavor=attrs.evolve(PLAIN, extra_specs={"hw:tpm_version": "2.0"}))
    ledger = Ledger(bound)
    with pytest.raises(CannotTravel, match=r"server s1 cannot move: it has a virtual TPM, by its flavor small"):
        ledger.do(moves.BeginMove(server="s1", goal=Goal.MIGRATE, action="a", flavor=None, origin=ORIGIN))
    assert list(ledger.rows.values()) == [bound]


@pytest.mark.parametrize("pair", [KeyPair(name="", public_key="k"), KeyPair(name="k", public_key="k" * (KEY_MAX + 1))])
def test_a_key_that_is_none_or_too_large_is_refused(pair: KeyPair) -> None:
    """Everything has its limit."""
    with pytest.raises(CellferryError, match="key"):
        CreateServer(
            server="s1", name="web", flavor=PLAIN, image="cirros", volumes=(), host=None, origin=ORIGIN, key_pair=pair
        )
