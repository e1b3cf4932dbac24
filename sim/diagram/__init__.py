"""A history as a sequence diagram: `mermaid` for documents, `svg` for looking at.  Drawn by our own code alone."""

from sim.diagram.mermaid import mermaid
from sim.diagram.svg import svg

__all__ = ["mermaid", "svg"]
