"""Every event that an actor or a process may tell: its name, how much it matters, its fields, and what it means.

The list is closed: a test compares it with what the code emits, and `docs/reference/logs.md` is written from it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import attrs


class Level(IntEnum):
    """How much an event matters; the numbers are those of Python's own logging."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


@attrs.frozen
class Event:
    """One event: what happened, and which fields tell of it."""

    name: str
    level: Level
    fields: tuple[str, ...]
    means: str


#: What each field holds, in whichever event it is.
FIELDS: Final[dict[str, str]] = {
    "actor": "the address of the actor that tells it",
    "address": "where the process listens",
    "attempt": "how often it was tried in a row before",
    "broker": "a broker, by its host and port",
    "by": "the user who asked for it",
    "cell": "the path of the cell that tells it, or that it is about",
    "cells": "the cells whose queues are reached by that broker",
    "child": "an actor under supervision, or the path of a child cell",
    "chore": "which work is done by itself",
    "consumers": "how many consumers came back with the connection",
    "conversation": "the id of a conversation, which is that of its move",
    "deaths": "how often it died within the supervisor's window",
    "down_s": "how long it was down, in seconds",
    "error": "the error, in words",
    "host": "a compute host",
    "library": "which library says it",
    "method": "the method of the message",
    "mute_child_s": "for how long a mute child says nothing at least, in seconds",
    "neighbour": "the path of a neighbour cell",
    "of": "whose it was",
    "owner": "a conductor's slot and incarnation",
    "pause_s": "how long it waits before the next try, in seconds",
    "process": "the role, cell and replica of a process",
    "queue": "a queue: its cell and its name",
    "reason": "why, in a word or in words",
    "receiver": "the address of who was to be told",
    "server": "the id of a server",
    "setting": "the path of a setting",
    "taken_up": "the paths of those settings that hold from now on",
    "text": "what was said",
    "to": "the address that a message was for",
    "tries": "how often it was tried in a row before",
}

#: What is added to any event while it is known: what the actor is doing just then.
CONTEXT: Final[dict[str, str]] = {
    "request": "the id of the user's request that it belongs to",
    "trace": "the id of the trace that it belongs to",
    "cell": "the cell of the actor that is at it",
    "host": "the compute host whose actor is at it",
    "server": "the server that the message is about",
    "conversation": "the conversation that the command is part of",
}

_LISTED: Final = (
    # --- actors and messages
    Event("handler_failed", Level.ERROR, ("actor", "method", "error"),
          "A handler met a mistake of cellferry's; the sender was answered `internal_error`, the actor lives on."),
    Event("child_died", Level.ERROR, ("child", "error", "deaths"),
          "An actor ended with an error; its supervisor starts it again, later each time, and gives up after five."),
    Event("message_refused", Level.INFO, ("cell", "method", "error"),
          "A router could not pass a message on, and has answered its sender with the error."),
    Event("answer_lost", Level.INFO, ("method", "to", "error"),
          "An answer could not be sent; whoever asked asks again, and is answered from what is stored."),
    Event("answer_unwanted", Level.DEBUG, ("queue", "method"),
          "An answer came that nobody waits for any more: late, or doubled."),
    Event("broadcast_doubled", Level.DEBUG, ("cell", "method"), "A broadcast came again; it is not carried out again."),
    Event("dead_letter", Level.WARNING, ("queue", "reason", "error"),
          "A message cannot be taken, and goes to the dead letters with its reason."),
    Event("outbox_waits", Level.INFO, ("actor", "error", "pause_s"),
          "News of changes could not be told; it stays in the outbox and is told again."),
    Event("outbox_refused", Level.WARNING, ("to", "method", "error"),
          "News was refused by its receiver for good, and is not told again."),
    # --- the wire
    Event("broker_connected", Level.INFO, ("broker", "cells", "consumers"),
          "The connection to a broker stands, with its queues and consumers."),
    Event("broker_lost", Level.WARNING, ("broker", "cells", "attempt", "reason"),
          "A broker is away; the connection is tried again, later each time."),
    Event("queue_declare_refused", Level.INFO, ("queue", "reason"),
          "The broker has that queue otherwise than it was to be made; it is used as it is."),
    Event("queue_left_over", Level.INFO, ("queue",),
          "A queue is not needed any more, and is its broker's administrator's to remove."),
    Event("dead_letter_failed", Level.WARNING, ("queue", "reason"),
          "A dead letter could not be put away; its message stays unsettled, and is tried again."),
    Event("frame_dead_lettered", Level.DEBUG, ("queue", "reason"), "A dead letter is where it belongs."),
    # --- the tree
    Event("link_down", Level.WARNING, ("cell", "neighbour", "reason"), "Nothing can be sent to a neighbour."),
    Event("link_up", Level.INFO, ("cell", "neighbour", "down_s"), "A neighbour takes messages again."),
    Event("neighbour_added", Level.INFO, ("cell", "neighbour"), "A cell has a neighbour more."),
    Event("neighbour_removed", Level.INFO, ("cell", "neighbour"), "A cell has a neighbour less."),
    Event("neighbours_not_read", Level.INFO, ("cell", "error"),
          "A link could not ask its cell for the neighbours; it goes on with those that it knows."),
    Event("child_mute", Level.WARNING, ("cell", "child", "mute_child_s"),
          "A child cell has said nothing for too long: no server is placed there."),
    Event("child_heard_again", Level.INFO, ("cell", "child"), "A mute child cell has said something."),
    Event("child_not_told", Level.INFO, ("cell", "error"),
          "A cell that is removed could not be told; it finds out by itself."),
    Event("announcement_lost", Level.INFO, ("cell", "error"),
          "A cell could not tell its parent what it has; it tells it again."),
    # --- cells
    Event("store_waited_for", Level.WARNING, ("cell", "error"), "A cell waits for its database to begin."),
    Event("audit_waits", Level.INFO, ("cell", "error"), "An audit could not be made; it is made in its next turn."),
    Event("healing_waits", Level.INFO, ("cell", "error"), "The mirror could not be mended; it is tried again."),
    Event("server_missing", Level.WARNING, ("server", "cell"),
          "The root's mirror has a server of which its cell knows nothing."),
    # --- hosts
    Event("announcement_waits", Level.INFO, ("host", "error"),
          "A host could not announce itself to its cell; it tries again."),
    Event("start_waits", Level.INFO, ("host", "error"),
          "A host cannot have its permits confirmed; it takes no messages before."),
    Event("host_fenced", Level.WARNING, ("host", "by"), "A host is fenced, and takes no messages until that is over."),
    Event("guest_died", Level.WARNING, ("host", "server"), "A guest is off that was to run; its cell was told."),
    Event("look_waits", Level.INFO, ("host", "error"), "A host could not look after its guests; it looks again."),
    Event("report_waits", Level.INFO, ("host", "error"), "A host could not tell that it is alive; it tells it again."),
    Event("metering_waits", Level.INFO, ("host", "error"), "A host could not tell its ports' traffic; it will."),
    # --- conductors
    Event("conversation_taken", Level.WARNING, ("conversation", "of"),
          "A conductor takes over what another one let lie."),
    Event("conversation_lost", Level.WARNING, ("conversation", "error"), "Another conductor has the conversation now."),
    Event("conversation_failed", Level.ERROR, ("conversation", "error"),
          "A conversation met a mistake of cellferry's; it is parked until somebody has it try again."),
    Event("conversation_waits", Level.WARNING, ("conversation", "error", "tries"),
          "A conversation waits for the conductor's database."),
    Event("conversation_parked", Level.WARNING, ("conversation", "server", "reason"),
          "A conversation cannot go on; it is tried again, later each time, and says what it waits for."),
    Event("leases_watched", Level.INFO, ("owner",), "A conductor keeps its conversations, and watches the others."),
    Event("leases_left", Level.INFO, ("owner",), "A conductor that stops gives up its lease."),
    Event("leases_wait", Level.WARNING, ("error",), "A conductor cannot keep its lease: its database is away."),
    Event("sweep_waits", Level.INFO, ("receiver", "error"),
          "A receiver could not be told to forget closed conversations; it is told again."),
    Event("chore_waits", Level.INFO, ("chore", "error"), "What is done by itself failed; its next turn comes."),
    Event("fence_not_told", Level.INFO, ("host", "error"),
          "A host could not be told of its fence; it hears of it when it asks."),
    # --- processes
    Event("process_waits", Level.WARNING, ("process", "error", "pause_s"),
          "The process cannot start: a broker or a database is away; it tries again."),
    Event("settings_read", Level.INFO, ("taken_up",), "The settings were read again; what may change is taken up."),
    Event("setting_needs_restart", Level.WARNING, ("setting",),
          "A setting was changed that a running process does not take up: restart it."),
    Event("settings_refused", Level.ERROR, ("error",),
          "The settings that were to be read again are no good; those from before hold on."),
    Event("process_ready", Level.INFO, ("process",), "The actors of this process take messages."),
    Event("process_draining", Level.INFO, ("process",), "The process takes nothing more, and finishes what it has."),
    Event("http_listening", Level.INFO, ("address",), "Metrics and health can be read there."),
    Event("http_failed", Level.WARNING, ("address", "error"),
          "Metrics and health cannot be read just now; the actors do not mind, and it is tried again."),
    Event("http_request_failed", Level.DEBUG, ("error",), "A request for metrics or health broke off."),
    Event("sample_failed", Level.INFO, ("process", "error"),
          "What is counted now and then could not be; the figures are those of the last time."),
    Event("library_said", Level.WARNING, ("library", "text"), "A library that we use has warned."),
)  # fmt: skip

EVENTS: Final[dict[str, Event]] = {event.name: event for event in _LISTED}
