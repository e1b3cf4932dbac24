"""The conductor: takes users' orders and runs the conversations that carry them out."""
