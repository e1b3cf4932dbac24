"""The commands `cellferry sim ...`."""
