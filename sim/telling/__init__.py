"""What a run is told as: an account of its history, what everybody held, a story, a report."""
