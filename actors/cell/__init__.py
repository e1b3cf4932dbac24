"""A cell's actor: its records, and the router and links by which messages pass through it."""
