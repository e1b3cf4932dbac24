"""The history of the tables: one revision a file, in one line, each a step from the one before."""
