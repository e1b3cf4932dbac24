"""What is said between the actors of cellferry.  Pure: no I/O, clock, randomness or logging."""
