"""Adapters to the world outside: images and volumes.  `ports.py` says what is needed of them.

Nothing is imported here: the guest program is started without third-party packages and imports a module from here.
"""
