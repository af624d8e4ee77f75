"""Independent random streams by name, so that what is drawn for one thing never shifts what is drawn for another."""

from __future__ import annotations

from zlib import crc32

import numpy as np


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """A generator of its own for each distinct ``(seed, *names)``."""
    return np.random.default_rng([seed, *(crc32(str(name).encode()) for name in names)])
