"""Every method that Nova's cells have, so that none is forgotten: what a request's `METHOD.reference` may name.

38 are targeted, 14 broadcast; `task_log_get_all` and `get_migrations` are both.  The one response method,
`parse_responses`, is no request here: it is the `Response` envelope itself.
"""

from typing import Final

from protocol.requests import Form, Way

RESPONSE: Final = "parse_responses"

#: By form: which way each goes.
REFERENCE: Final[dict[Form, dict[str, Way]]] = {
    Form.TARGETED: {
        "announce_capabilities": Way.DOWN,
        "announce_capacities": Way.DOWN,
        "update_capabilities": Way.UP,
        "update_capacities": Way.UP,
        "schedule_run_instance": Way.DOWN,
        "build_instances": Way.DOWN,
        "run_compute_api_method": Way.DOWN,
        "service_get_by_compute_host": Way.DOWN,
        "get_host_uptime": Way.DOWN,
        "service_update": Way.DOWN,
        "service_delete": Way.DOWN,
        "proxy_rpc_to_manager": Way.DOWN,
        "task_log_get_all": Way.DOWN,
        "compute_node_get": Way.DOWN,
        "actions_get": Way.DOWN,
        "action_get_by_request_id": Way.DOWN,
        "action_events_get": Way.DOWN,
        "validate_console_port": Way.DOWN,
        "get_migrations": Way.DOWN,
        "instance_update_from_api": Way.DOWN,
        "start_instance": Way.DOWN,
        "suspend_instance": Way.DOWN,
        "resume_instance": Way.DOWN,
        "pause_instance": Way.DOWN,
        "unpause_instance": Way.DOWN,
        "terminate_instance": Way.DOWN,
        "soft_delete_instance": Way.DOWN,
        "revert_resize": Way.DOWN,
        "confirm_resize": Way.DOWN,
        "reset_network": Way.DOWN,
        "inject_network_info": Way.DOWN,
        "stop_instance": Way.DOWN,
        "reboot_instance": Way.DOWN,
        "resize_instance": Way.DOWN,
        "live_migrate_instance": Way.DOWN,
        "snapshot_instance": Way.DOWN,
        "backup_instance": Way.DOWN,
        "rebuild_instance": Way.DOWN,
    },
    Form.BROADCAST: {
        "instance_update_at_top": Way.UP,
        "instance_destroy_at_top": Way.UP,
        "instance_fault_create_at_top": Way.UP,
        "bw_usage_update_at_top": Way.UP,
        "bdm_update_or_create_at_top": Way.UP,
        "bdm_destroy_at_top": Way.UP,
        "consoleauth_delete_tokens": Way.UP,
        "instance_delete_everywhere": Way.DOWN,
        "sync_instances": Way.DOWN,
        "service_get_all": Way.DOWN,
        "compute_node_get_all": Way.DOWN,
        "compute_node_stats": Way.DOWN,
        "task_log_get_all": Way.DOWN,
        "get_migrations": Way.DOWN,
    },
}

#: Which tests of Nova's messaging show each, by their numbers in our list of those tests; some are shown by none.
NUMBERS: Final[dict[str, tuple[str, ...]]] = {
    "announce_capabilities": ("R33",),
    "announce_capacities": ("R34",),
    "update_capabilities": ("R31",),
    "update_capacities": ("R32",),
    "schedule_run_instance": ("R26",),
    "build_instances": ("R27",),
    "run_compute_api_method": ("R28", "R29", "R30"),
    "service_get_by_compute_host": ("R35",),
    "get_host_uptime": ("R58",),
    "service_update": ("R36",),
    "service_delete": ("R37",),
    "proxy_rpc_to_manager": ("R38", "R39"),
    "task_log_get_all": ("R40", "R87"),
    "compute_node_get": ("R41",),
    "actions_get": ("R42",),
    "action_get_by_request_id": ("R43",),
    "action_events_get": ("R44",),
    "validate_console_port": ("R45",),
    "get_migrations": ("R46", "R47", "R98"),
    "instance_update_from_api": ("R50", "R51"),
    "start_instance": ("R52",),
    "stop_instance": ("R53", "R54"),
    "reboot_instance": ("R55",),
    "suspend_instance": ("R56",),
    "resume_instance": ("R57",),
    "terminate_instance": ("R59",),
    "soft_delete_instance": ("R60",),
    "pause_instance": ("R61",),
    "unpause_instance": ("R62",),
    "resize_instance": ("R63",),
    "live_migrate_instance": ("R64",),
    "revert_resize": ("R65",),
    "confirm_resize": ("R66",),
    "reset_network": ("R67",),
    "inject_network_info": ("R68",),
    "snapshot_instance": ("R69",),
    "backup_instance": ("R70",),
    "rebuild_instance": (),
    "instance_update_at_top": ("R74", "R75", "R76", "R77", "R78"),
    "instance_destroy_at_top": ("R79",),
    "instance_delete_everywhere": ("R80", "R81"),
    "instance_fault_create_at_top": ("R82",),
    "bw_usage_update_at_top": ("R83",),
    "sync_instances": ("R84",),
    "service_get_all": ("R85", "R86"),
    "compute_node_get_all": ("R88", "R89"),
    "compute_node_stats": ("R90",),
    "consoleauth_delete_tokens": ("R91",),
    "bdm_update_or_create_at_top": ("R92", "R93", "R94", "R95"),
    "bdm_destroy_at_top": ("R96", "R97"),
    RESPONSE: ("R22",),
}

_STRAIGHT_UP: Final = (
    "A cell's path names its root, so the request goes straight there: the cells between, whose part in Nova's "
    "broadcast is to look whether they are the top and do nothing, are not asked (nor waited for when they are away), "
    "and the one answer is that of the root itself, which is what retires a row of the sender's outbox."
)

#: What Nova's cells were asked to do with a server by its name alone (`run_compute_api_method`), and here are not.
NOT_OFFERED: Final[dict[str, str]] = {
    "shelve": "a server's host is not given up while it is off; make an image of it, and delete it",
    "set_admin_password": "a password never travels through a broker; a server is entered by its key",
}

#: Which of them go in another form than there, and why.
OTHERWISE: Final[dict[str, tuple[Form, str]]] = {
    "instance_update_at_top": (Form.TARGETED, _STRAIGHT_UP),
    "instance_destroy_at_top": (Form.TARGETED, _STRAIGHT_UP),
    "instance_fault_create_at_top": (Form.TARGETED, _STRAIGHT_UP),
    "bdm_update_or_create_at_top": (Form.TARGETED, _STRAIGHT_UP),
    "bdm_destroy_at_top": (Form.TARGETED, _STRAIGHT_UP),
    "sync_instances": (
        Form.EITHER,
        "A cell tells so many servers again at once; what it has more, it is asked for alone, page after page.",
    ),
    "bw_usage_update_at_top": (Form.TARGETED, _STRAIGHT_UP),
    "consoleauth_delete_tokens": (Form.TARGETED, _STRAIGHT_UP),
}


def form_of(name: str) -> Form:
    """Tell in which form a method of Nova's goes here."""
    if name in OTHERWISE:
        return OTHERWISE[name][0]
    forms = [form for form, methods in REFERENCE.items() if name in methods]
    return forms[0] if len(forms) == 1 else Form.EITHER
