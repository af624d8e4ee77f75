"""A cheap digest of a media file, to tell whether a track still belongs to it."""

from __future__ import annotations

import hashlib

import fsspec

from mgn_ma.media.errors import MediaError

MEBIBYTE = 1 << 20


def digest(path: str) -> str:
    """Hex SHA-256 over a file's size, its first and its last MiB: a constant cost for a file of any length.

    A file of up to two MiB is covered wholly. A change that keeps the size and both ends goes unseen, which is the
    price of not reading terabytes; containers keep their index and their lengths at one of the ends.

    Args:
        path: local path or fsspec URL.

    Raises:
        MediaError: if the file can't be read.
    """
    try:
        with fsspec.open(path, "rb") as file:
            size = file.seek(0, 2)
            hasher = hashlib.sha256(size.to_bytes(8, "big"))
            file.seek(0)
            hasher.update(file.read(MEBIBYTE))
            if size > MEBIBYTE:
                file.seek(max(size - MEBIBYTE, MEBIBYTE))
                hasher.update(file.read(MEBIBYTE))
    except OSError as error:
        raise MediaError(path, f"can't be read: {error.strerror or error}", transient=True) from error
    return hasher.hexdigest()
