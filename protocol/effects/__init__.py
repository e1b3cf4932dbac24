"""What commands do to rows: one pure function for each, `apply(rows, command) -> changes, reply`."""
