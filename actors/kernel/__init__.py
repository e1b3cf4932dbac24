"""The actor system: mailboxes, calls, supervision and conversations.  Knows nothing of servers."""
