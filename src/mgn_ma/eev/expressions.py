"""The 15 evoked expressions of EEV, in the data set's (alphabetical) order."""

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
