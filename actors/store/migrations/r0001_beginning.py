"""The tables as they were when their history began."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
#: The oldest revision whose code may run on a database of this one.
serves = "0001"

TYPES = {
    "text": sa.Text,
    "bigint": sa.BigInteger,
    "int": sa.Integer,
    "bool": sa.Boolean,
    "json": sa.JSON,
    "bytes": sa.LargeBinary,
}
#: Each table's columns.  Behind the type: `!` of the primary key, `?` may be NULL, `+` has an index.
TABLES = {
    "action_events": """
        id:text! action:text+ server:text+ name:text host:text result:text? details:text? started_at_us:bigint
        finished_at_us:bigint?
    """,
    "allocations": """
        consumer:text! host:text!+ server:text+ vcpus:bigint memory_mb:bigint disk_gb:bigint bandwidth_kbps:bigint
    """,
    "attachments": """
        id:text! volume:text+ server:text+ host:text? device:text
    """,
    "bandwidth_uses": """
        server:text!+ period:text! begin_us:bigint bytes_in:bigint bytes_out:bigint boot:bigint host:text last_in:bigint
        last_out:bigint version:bigint updated_at_us:bigint
    """,
    "bandwidths": """
        server:text!+ cell:text! period:text! begin_us:bigint bytes_in:bigint bytes_out:bigint version:bigint
    """,
    "block_devices": """
        id:text! server:text+ volume:text attachment:text device:text boot_index:bigint?
    """,
    "cell_freezes": """
        cell:text! reason:text user:text since_us:bigint
    """,
    "cell_profiles": """
        cell:text! capabilities:json sizes:json reserve_percent:json mute_child_s:bigint down_host_s:bigint
        started_us:bigint filters:json? weighers:json?
    """,
    "claims": """
        server:text! host:text! migration:text?
    """,
    "console_grants": """
        token_hash:text! server:text+ cell:text host:text kind:text address:text port:bigint expires_at_us:bigint
    """,
    "console_tokens": """
        token_hash:text! server:text+ host:text kind:text address:text port:bigint created_at_us:bigint
        expires_at_us:bigint
    """,
    "conversations": """
        conversation:text! server:text+ goal:text owner:text first_epoch:bigint epoch:bigint waits_for:text?
        ends_for:bytes? is_closed:bool+ is_swept:bool+
    """,
    "counters": """
        name:text! value:bigint
    """,
    "deleted_servers": """
        uuid:text! project:text generation:bigint version:bigint deleted_at_us:bigint+
    """,
    "entries": """
        conversation:text! seq:int! epoch:bigint kind:text at_us:bigint step:text attempt:int is_undo:bool payload:bytes
    """,
    "epochs": """
        server:text! epoch:bigint
    """,
    "faults": """
        id:text! server:text+ code:text message:text details:text created_at_us:bigint
    """,
    "floors": """
        id:int! epoch:bigint?
    """,
    "group_places": """
        server:text!+ host:text! server_group:text+ conversation:text
    """,
    "held_permits": """
        server:text! number:bigint? former_power:bigint?
    """,
    "host_fences": """
        host:text! cell:text user:text since_us:bigint lift_epoch:bigint?
    """,
    "host_mappings": """
        host:text! cell:text
    """,
    "hosts": """
        name:text! vcpus:bigint memory_mb:bigint disk_gb:bigint availability_zone:text is_enabled:bool
        bandwidth_kbps:bigint
    """,
    "images": """
        id:text! name:text status:text size_bytes:bigint sha256:text server:text? source:text+ conversation:text
        backup_type:text number:bigint
    """,
    "inbox": """
        key:text! scope:text+ number:bigint is_plain:bool server:text epoch:bigint state:text method:text request:bytes
        reply:bytes? is_error:bool had_effect:bool
    """,
    "leases": """
        owner:text! beats:bigint
    """,
    "mappings": """
        server:text! cell:text? generation:bigint conversation:text? goal:text? debt:text? debt_goal:text? debt_at:text?
        project:text+ vcpus:bigint memory_mb:bigint is_moved:bool+ moved_at_us:bigint is_soft_deleted:bool+
        soft_deleted_at_us:bigint server_group:text+
    """,
    "migrations": """
        uuid:text! server:text+ kind:text status:text source_cell:text source_host:text target_cell:text?
        target_host:text? is_cross_cell:bool old_flavor:text new_flavor:text created_at_us:bigint updated_at_us:bigint
    """,
    "mirrored_devices": """
        server:text+ cell:text! generation:bigint version:bigint id:text! volume:text attachment:text device:text
        boot_index:bigint? is_gone:bool
    """,
    "mirrored_faults": """
        server:text+ cell:text! generation:bigint version:bigint id:text! code:text message:text created_at_us:bigint
    """,
    "mirrors": """
        server:text!+ cell:text! generation:bigint version:bigint name:text vm_state:text? task_state:text?
        power_state:bigint host:text? flavor:text project:text user:text image:text availability_zone:text?
        is_locked:bool metadata:json tags:json created_at_us:bigint updated_at_us:bigint copied_at:bigint is_gone:bool
        is_missing:bool devices_since:bigint
    """,
    "neighbours": """
        cell:text! is_parent:bool is_of_file:bool is_removed:bool is_reweighed:bool place:bigint weight_offset:json
        weight_scale:json since_us:bigint last_seen_us:bigint? capabilities:json capacities:json
    """,
    "notifications": """
        id:text! server:text+ event:text publisher:text created_at_us:bigint seq:bigint
    """,
    "outbox": """
        id:text! seq:bigint+ target:text method:text server:text body:bytes about:text+ rank:bigint key:text?
    """,
    "owed_acts": """
        host:text!+ server:text! act:text! volume:text! since_us:bigint
    """,
    "permits": """
        server:text! number:bigint holder:text?+
    """,
    "port_bindings": """
        port:text! host:text! server:text+ is_active:bool
    """,
    "ports": """
        id:text! server:text+ address:text
    """,
    "quotas": """
        project:text! servers:bigint? vcpus:bigint? memory_mb:bigint?
    """,
    "request_specs": """
        server:text! flavor:json availability_zone:text?
    """,
    "server_actions": """
        id:text! server:text+ action:text request_id:text user:text project:text message:text? started_at_us:bigint
        finished_at_us:bigint?
    """,
    "server_groups": """
        id:text! name:text+ project:text policy:text
    """,
    "servers": """
        uuid:text! name:text project:text user:text description:text image:text flavor:json host:text?
        availability_zone:text? vm_state:text task_state:text? power_state:bigint progress:bigint is_hidden:bool
        is_locked:bool is_sealed:bool old_flavor:json? new_flavor:json? old_vm_state:text? migration_context:json?
        metadata:json tags:json key_pair:json? bandwidth_kbps:bigint generation:bigint version:bigint copied_at:bigint
        created_at_us:bigint updated_at_us:bigint+
    """,
    "services": """
        id:text! host:text+ binary:text version:bigint is_enabled:bool disabled_reason:text report_count:bigint
        created_at_us:bigint last_seen_us:bigint
    """,
    "task_log": """
        id:text! task:text+ host:text period:text+ begin_us:bigint end_us:bigint state:text items:bigint errors:bigint
        message:text written_at_us:bigint
    """,
    "volumes": """
        id:text! name:text size_gb:bigint
    """,
}
MEMORY = "epochs floors inbox outbox"
CELL = """
    action_events allocations bandwidth_uses block_devices cell_freezes cell_profiles claims console_tokens
    deleted_servers faults hosts migrations neighbours notifications server_actions servers services task_log
"""
ROOT = """
    bandwidths console_grants group_places host_fences host_mappings mappings mirrored_devices mirrored_faults
    mirrors owed_acts permits quotas request_specs server_groups
"""
#: Which tables each kind of store has.
KINDS = {
    "cell": (CELL, MEMORY),
    "root": (CELL, ROOT, MEMORY),
    "host": ("held_permits", MEMORY),
    "conductor": ("conversations counters entries leases", MEMORY),
    "image": ("images", MEMORY),
    "volume": ("attachments volumes", MEMORY),
    "network": ("port_bindings ports", MEMORY),
}


def upgrade() -> None:
    """Make the tables of this kind of store."""
    for name in " ".join(KINDS[op.get_context().opts["kind"]]).split():
        op.create_table(name, *map(_column, TABLES[name].split()))
        for word in TABLES[name].split():
            if word.endswith("+"):
                column = word.partition(":")[0]
                op.create_index(f"ix_{name}_{column}", name, [column])


def _column(word: str) -> sa.Column[object]:
    name, _, rest = word.partition(":")
    kind, is_key = TYPES[rest.rstrip("!?+")], "!" in rest
    return sa.Column(name, kind(), primary_key=is_key, nullable="?" in rest)
