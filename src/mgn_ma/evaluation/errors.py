"""The error of this room."""

from __future__ import annotations

from mgn_ma.errors import MGNMAError


class EvaluationError(MGNMAError):
    """Something can't be evaluated as it was asked for."""
