"""Where state is kept: transactions as plain functions over SQLite and PostgreSQL.  All SQL is here."""
