"""The rows of a cell about what runs on its hosts: services that announce themselves."""

from typing import ClassVar

import attrs

from protocol.records.base import Record


@attrs.frozen(kw_only=True)
class Service(Record):
    """Something that runs on a host of the cell, and how it was last heard of."""

    TABLE = "services"
    KEY: ClassVar[tuple[str, ...]] = ("id",)
    INDEX: ClassVar[tuple[str, ...]] = ("host",)

    id: str
    host: str
    binary: str
    version: int = 0  # Of what it says and understands; 0: it did not tell.
    is_enabled: bool = True  # No new servers come to a host whose compute service is disabled.
    disabled_reason: str = ""
    report_count: int = 0  # How often it was heard of.
    created_at_us: int
    last_seen_us: int  # By the cell's clock.


@attrs.frozen(kw_only=True)
class TaskLog(Record):
    """What a periodic task has done for one host and one period of time."""

    TABLE = "task_log"
    KEY: ClassVar[tuple[str, ...]] = ("id",)
    INDEX: ClassVar[tuple[str, ...]] = ("task", "period")

    id: str
    task: str
    host: str
    period: str  # Begin and end as one word: by it a period is found.
    begin_us: int
    end_us: int
    state: str  # done, as in Nova: what begins is not written, for it is one transaction.
    items: int  # Servers that were there.
    errors: int  # Those of them that are in error.
    message: str = ""
    written_at_us: int
