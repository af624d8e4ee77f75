"""What can keep a figure from being drawn."""

from __future__ import annotations


class FigureError(Exception):
    """A figure was asked for that the tables given don't show."""
