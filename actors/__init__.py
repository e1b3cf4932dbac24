"""Who does it: the actors of cellferry, and the ports through which they touch the world."""
