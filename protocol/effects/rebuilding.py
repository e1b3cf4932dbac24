"""Effects of a rebuild on a server's record."""

from protocol.draft import Draft
from protocol.effects.history import change, finish_action, notify, whole_server
from protocol.effects.registry import Moment, effect
from protocol.messages import rebuilding as say
from protocol.records import Server
from protocol.requests import Done


@effect(say.WriteImage, whole_server)
def _write(draft: Draft, command: say.WriteImage, moment: Moment) -> Done:
    change(draft, draft.one(Server, uuid=command.server), moment, image=command.image)
    return Done()


@effect(say.FinishRebuild, whole_server)
def _finish(draft: Draft, command: say.FinishRebuild, moment: Moment) -> Server:
    server = draft.one(Server, uuid=command.server)
    finish_action(draft, server.uuid, command.action, moment)
    notify(draft, server.uuid, server.host or "", moment, "instance.rebuild.end")
    return change(draft, server, moment, task_state=None, **command.change.fields())
