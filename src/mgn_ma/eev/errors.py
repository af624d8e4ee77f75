"""The error of this room."""

from __future__ import annotations

from mgn_ma.errors import MGNMAError


class FrameTableError(MGNMAError):
    """A table of frames is not one block a video, has a frame twice, or lacks an expression."""
