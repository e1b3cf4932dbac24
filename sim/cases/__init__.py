"""Cases: what decides a run, and how a seed makes one."""
