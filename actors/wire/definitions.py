"""What a broker must have as the definitions that RabbitMQ imports, and what it has, from those that it exports."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Any, Final

import attrs

from actors.wire.identities import Kind, Thing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

ALGORITHM: Final = "rabbit_password_hashing_sha256"
SALT_BYTES: Final = 4


@attrs.frozen(kw_only=True)
class Finding:
    """How a thing is at the broker: `there`, `missing`, `differs` or `superfluous`."""

    thing: Thing
    state: str


def hashed(password: str, salt: bytes) -> str:
    """Write a password as RabbitMQ keeps it."""
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def is_hash_of(text: str, password: str) -> bool:
    """Tell whether that is what RabbitMQ keeps of a password."""
    try:
        salt = base64.b64decode(text, validate=True)[:SALT_BYTES]
    except ValueError:
        return False
    return hmac.compare_digest(text, hashed(password, salt))


def definitions(things: Iterable[Thing], *, hash_of: Callable[[str], str]) -> dict[str, list[dict[str, object]]]:
    """Write things as definitions; `hash_of` gives the hash of a user's password."""
    written: dict[str, list[dict[str, object]]] = {kind.value: [] for kind in Kind}
    for thing in things:
        fields = dict(thing.fields)
        if thing.kind is Kind.VHOST:
            fields = {"name": thing.name}
        elif thing.kind is Kind.USER:
            fields = {
                "name": thing.name, "password_hash": hash_of(thing.name), "hashing_algorithm": ALGORITHM, "tags": [],
            }  # fmt: skip
        if fields not in written[thing.kind]:
            written[thing.kind].append(fields)
    return written


def compare(
    things: Iterable[Thing], found: Mapping[str, Any], *, prefix: str, passwords: Mapping[str, str]
) -> tuple[Finding, ...]:
    """Tell what of the things a broker has; and what it has besides that is called like ours."""
    wanted = {_identity(thing.kind, _fields(thing)): thing for thing in things}
    had = {_identity(kind, fields): (kind, fields) for kind in Kind for fields in found.get(kind.value, ())}
    findings = []
    for identity, thing in wanted.items():
        fields = had.get(identity, (None, None))[1]
        findings.append(Finding(thing=thing, state=_state(thing, fields, passwords)))
    vhosts = {thing.vhost for thing in wanted.values()} | {""}
    for identity, (kind, fields) in had.items():
        thing = Thing(kind=kind, vhost=str(fields.get("vhost", "")), name=_shown(kind, fields))
        if identity not in wanted and kind is not Kind.VHOST and thing.vhost in vhosts and _is_ours(fields, prefix):
            findings.append(Finding(thing=thing, state="superfluous"))
    return tuple(findings)


def _state(thing: Thing, found: Mapping[str, Any] | None, passwords: Mapping[str, str]) -> str:
    if found is None:
        return "missing"
    if thing.kind is Kind.USER:
        password = passwords.get(thing.name)
        is_same = password is not None and is_hash_of(str(found.get("password_hash", "")), password)
        return "there" if is_same and not found.get("tags") else "differs"
    differs = any(found.get(name) != value for name, value in thing.fields.items())
    return "differs" if differs else "there"


def _fields(thing: Thing) -> Mapping[str, Any]:
    return thing.fields or {"name": thing.name}


def _identity(kind: Kind, fields: Mapping[str, Any]) -> tuple[object, ...]:
    names = {
        Kind.VHOST: ("name",),
        Kind.USER: ("name",),
        Kind.BINDING: ("vhost", "source", "destination", "destination_type", "routing_key"),
        Kind.PERMISSION: ("vhost", "user"),
        Kind.TOPIC_PERMISSION: ("vhost", "user", "exchange"),
    }.get(kind, ("vhost", "name"))
    return (kind, *(fields.get(name) for name in names))


def _shown(kind: Kind, fields: Mapping[str, Any]) -> str:
    if kind is Kind.BINDING:
        return f"{fields.get('source')} -> {fields.get('destination')}"
    if kind is Kind.TOPIC_PERMISSION:
        return f"{fields.get('user')} on {fields.get('exchange')}"
    return str(fields.get("name", fields.get("user")))


def _is_ours(fields: Mapping[str, Any], prefix: str) -> bool:
    texts = (fields.get(name) for name in ("name", "user", "source", "destination"))
    return any(str(text).startswith(f"{prefix}.") for text in texts if text)
