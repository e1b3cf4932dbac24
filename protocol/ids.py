"""Ids that follow from what they are made for, so that making a thing twice makes it once."""

from hashlib import sha256


def derived_id(*parts: str) -> str:
    """Make the id (in the form of a UUID) that belongs to these parts."""
    digits = sha256("\x1f".join(parts).encode()).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-8{digits[17:20]}-{digits[20:32]}"
