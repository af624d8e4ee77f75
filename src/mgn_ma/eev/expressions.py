"""EEV's 6 Hz annotation grid."""

from __future__ import annotations

ANNOTATION_RATE_HZ = 6


def grid_timestamp_us(index: int) -> int:
    """Presentation time of the ``index``-th annotated frame, microseconds rounded down: 0, 166666, 333333, 500000, …"""
    return index * 1_000_000 // ANNOTATION_RATE_HZ
