"""The image actor: images' rows, and the checks of their bytes."""
