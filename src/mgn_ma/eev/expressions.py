"""The 15 evoked expressions of EEV, in the data set's (alphabetical) order, and its 6 Hz annotation grid."""

from __future__ import annotations

EXPRESSIONS: tuple[str, ...] = (
    "amusement",
    "anger",
    "awe",
    "concentration",
    "confusion",
    "contempt",
    "contentment",
    "disappointment",
    "doubt",
    "elation",
    "interest",
    "pain",
    "sadness",
    "surprise",
    "triumph",
)

ANNOTATION_RATE_HZ = 6


def grid_timestamp_us(index: int) -> int:
    """Presentation time of the ``index``-th annotated frame, microseconds rounded down: 0, 166666, 333333, 500000, …"""
    return index * 1_000_000 // ANNOTATION_RATE_HZ
