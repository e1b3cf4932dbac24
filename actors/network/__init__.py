"""The network actor: ports and bindings."""
