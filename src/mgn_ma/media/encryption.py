"""Whether an MP4's samples are encrypted (ISO/IEC 23001-7), which FFmpeg opens and decodes to garbage or to nothing."""

from __future__ import annotations

from typing import IO

import fsspec

ENCRYPTED = "is encrypted (DRM): without its key there is nothing to decode"

_LONGEST_HEADER = 16 << 20
_MOST_BOXES = 10_000


def is_encrypted(path: str) -> bool:
    """Whether an MP4's index (moov) names an encrypted sample entry (``encv``, ``enca``) and a scheme (``sinf``).

    ``False`` also for what is no MP4, or can't be read.
    """
    try:
        with fsspec.open(path, "rb") as file:
            index = _index(file)
    except (OSError, ValueError):
        return False
    return b"sinf" in index and (b"encv" in index or b"enca" in index)


def _index(file: IO[bytes]) -> bytes:
    at = 0
    for _ in range(_MOST_BOXES):
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            break
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if size == 1:  # the size follows in 64 bits
            size = int.from_bytes(head[8:], "big")
        if kind == b"moov":
            return head + file.read(min(size, _LONGEST_HEADER) if size else _LONGEST_HEADER)
        if size < 8:
            break
        at += size
    return b""
