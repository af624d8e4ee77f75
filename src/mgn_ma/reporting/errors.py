"""What can keep a figure from being drawn."""

from __future__ import annotations

from mgn_ma.errors import MGNMAError


class FigureError(MGNMAError):
    """A figure was asked for that the tables given don't show."""
