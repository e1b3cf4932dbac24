"""What operators see: events, settings."""
