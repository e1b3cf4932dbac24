"""Hypervisors behind one port: `base.py` is the port, `memory.py` and `process.py` are its implementations.

Nothing is imported here: the guest program is started without third-party packages and imports modules from here.
"""
