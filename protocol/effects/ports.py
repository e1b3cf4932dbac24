"""Effects on ports and their bindings."""

from typing import Any

import attrs

from protocol.draft import Draft, Need, need
from protocol.effects.registry import Moment, effect
from protocol.errors import InvalidState, NotFound
from protocol.messages import partners as say
from protocol.records import Port, PortBinding
from protocol.requests import Done


def _ports(command: Any) -> tuple[Need, ...]:
    return need(Port, server=command.server), need(PortBinding, server=command.server)


def _list(draft: Draft, server: str) -> say.PortList:
    return say.PortList(ports=draft.all(Port, server=server), bindings=draft.all(PortBinding, server=server))


def _some(draft: Draft, server: str) -> tuple[Port, ...]:
    """Give a server's ports, of which it has one from its beginning: one that has none has lost it."""
    ports = draft.all(Port, server=server)
    if not ports:
        raise NotFound(kind="port of server", name=server)
    return ports


@effect(say.CreatePort, _ports)
def _create(draft: Draft, command: say.CreatePort, _: Moment) -> say.PortList:
    digits = command.port.replace("-", "")
    address = "fa:16:3e:" + ":".join(digits[at : at + 2] for at in (0, 2, 4))
    draft.put(Port(id=command.port, server=command.server, address=address))
    draft.put(PortBinding(port=command.port, host=command.host, server=command.server, is_active=True))
    return _list(draft, command.server)


@effect(say.DeletePorts, _ports)
def _delete(draft: Draft, command: say.DeletePorts, _: Moment) -> Done:
    for row in (*draft.all(PortBinding, server=command.server), *draft.all(Port, server=command.server)):
        draft.drop(row)
    return Done()


@effect(say.BindPorts, _ports)
def _bind(draft: Draft, command: say.BindPorts, _: Moment) -> say.PortList:
    for port in _some(draft, command.server):
        if draft.find(PortBinding, server=command.server, port=port.id, host=command.host) is None:
            draft.put(PortBinding(port=port.id, host=command.host, server=command.server, is_active=False))
    return _list(draft, command.server)


@effect(say.UnbindPorts, _ports)
def _unbind(draft: Draft, command: say.UnbindPorts, _: Moment) -> Done:
    for binding in draft.all(PortBinding, server=command.server, host=command.host):
        if binding.is_active:
            raise InvalidState(
                kind="port", name=binding.port, field="binding", found=f"active on {command.host}", expected="inactive"
            )
        draft.drop(binding)
    return Done()


@effect(say.ActivateBindings, _ports)
def _activate(draft: Draft, command: say.ActivateBindings, _: Moment) -> say.PortList:
    bindings = draft.all(PortBinding, server=command.server)
    bound = {binding.port for binding in bindings if binding.host == command.host}
    for port in draft.all(Port, server=command.server):
        if port.id not in bound:
            raise InvalidState(
                kind="port", name=port.id, field="binding", found="None", expected=f"one on {command.host}"
            )
    for binding in bindings:
        draft.put(attrs.evolve(binding, is_active=binding.host == command.host))
    return _list(draft, command.server)


@effect(say.ListPorts, _ports)
def _show(draft: Draft, command: say.ListPorts, _: Moment) -> say.PortList:
    return _list(draft, command.server)
