"""The error of this room."""

from __future__ import annotations

from mgn_ma.errors import MGNMAError


class TrainingError(MGNMAError):
    """A network can't be trained as it was asked for: on these data, with these settings."""
