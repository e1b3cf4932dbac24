"""What is said between the actors of cellferry, and what follows from it.  Pure: no I/O, clock, randomness or logging.

Functions here take values and give values that say what to do; `actors` does it.  A reader's map, from the bottom up:

*Names and messages*

- `cell_path`: where cells and actors are: `CellPath` (`api!eu!eu-1`) and `Address` (`api!eu!eu-1/host:h1`);
- `envelope`: what travels: `Targeted`, `Broadcast`, `Response`, the header they share, and the idempotency `Key`;
- `codec`, `bodies`, `errors_wire`: envelopes, requests and errors as bytes; what is malformed is refused by name;
- `requests`: what a request is; `messages/`: all of them, by who is asked; `methods`: the table of them all;
- `errors/`: what can go wrong, each with a code that never changes.

*Ways through the tree*

- `routing`: `route` (where a message for one address goes next), `next_hops` (where a broadcast goes), `admit` (whether
  a neighbour may have sent it);
- `gather`: the answers of one broadcast at one hop.

*Servers and their moves*

- `records`: the rows that are kept; `states`: which state may follow which;
- `journal`: what a conversation has intended and what came of it; `saga`: `next_command`, which reads off the journal
  what is next;
- `moves/`: the plans: `resize`, `confirm`, `revert`, in `lifecycle` create, start, stop and reboot, in `volumes`
  attach, detach and swap, each step beside its undo; `repair`, which removes what `leftovers` finds;
- `effects/`: what each command does to the records of whoever gets it; `draft`: the rows that it works on;
- `ids`: ids that follow from what they are made for.

*Whether it is true*

- `truth`: a snapshot of what stores, hypervisors and partners hold; `invariants/`: the promises, judged on it.

Read `routing` first, then `moves.resize` beside `saga`.
"""

from protocol.cell_path import Address, CellPath
from protocol.envelope import Broadcast, Context, Direction, Envelope, Key, Response, Targeted
from protocol.errors import CellferryError, ErrorReport
from protocol.journal import Ending, Entry, Journal
from protocol.requests import Done, Gathered, Method, Request
from protocol.routing import Deliver, Forward, Refuse, admit, next_hops, route
from protocol.saga import Plan, Step, Story, next_command

__all__ = [
    "Address",
    "Broadcast",
    "CellPath",
    "CellferryError",
    "Context",
    "Deliver",
    "Direction",
    "Done",
    "Ending",
    "Entry",
    "Envelope",
    "ErrorReport",
    "Forward",
    "Gathered",
    "Journal",
    "Key",
    "Method",
    "Plan",
    "Refuse",
    "Request",
    "Response",
    "Step",
    "Story",
    "Targeted",
    "admit",
    "next_command",
    "next_hops",
    "route",
]
