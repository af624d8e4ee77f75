"""A small file read whole: captions, info.json. What is no regular file, or is too large for one, is refused."""

from __future__ import annotations

from pathlib import Path

import fsspec

from mgn_ma.media.errors import MediaError


def read_whole(path: str, most_bytes: int) -> bytes:
    """The bytes of a file.

    Args:
        path: local path or fsspec URL.
        most_bytes: what a file of its kind may have.

    Raises:
        MediaError: it can't be read, is larger, or is a pipe or a device, which would be read without end.
    """
    if "://" not in path and Path(path).exists() and not Path(path).is_file():
        raise MediaError(path, "is no regular file")
    try:
        with fsspec.open(path, "rb") as file:
            data: bytes = file.read(most_bytes + 1)
    except OSError as error:
        raise MediaError(path, f"can't be read: {error.strerror or error}", transient=True) from error
    if len(data) > most_bytes:
        raise MediaError(path, f"is larger than {most_bytes >> 20} MiB, which no file of its kind is")
    return data
