"""Simulated brokers: queues, a process's wire to them, and all that goes wrong on the way."""
