"""What the loop of virtual time is made of: steps, strategies, ordered sets, and the seal against the world outside."""
