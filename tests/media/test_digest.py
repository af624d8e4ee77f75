from __future__ import annotations

import hashlib
from pathlib import Path

import fsspec
import pytest

from mgn_ma.media.digest import MEBIBYTE, digest
from mgn_ma.media.errors import MediaError


def test_is_what_it_says(tmp_path: Path) -> None:
    data = bytes(range(256)) * 3 * (MEBIBYTE // 256)
    path = tmp_path / "a.mp4"
    path.write_bytes(data)
    expected = hashlib.sha256(len(data).to_bytes(8, "big") + data[:MEBIBYTE] + data[-MEBIBYTE:]).hexdigest()
    assert digest(str(path)) == expected


@pytest.mark.parametrize("size", [0, 1, MEBIBYTE - 1, MEBIBYTE, MEBIBYTE + 1, 2 * MEBIBYTE])
def test_every_byte_of_a_small_file_counts(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.bin"
    digests = set()
    for position in {0, size // 2, size - 1}:
        data = bytearray(size)
        if size:
            data[position] = 1
        path.write_bytes(data)
        digests.add(digest(str(path)))
    path.write_bytes(bytes(size + 1))
    digests.add(digest(str(path)))
    assert len(digests) == len({0, size // 2, size - 1} if size else {0}) + 1


def test_object_storage_gives_the_same(tmp_path: Path) -> None:
    data = b"x" * (MEBIBYTE + 5)
    (tmp_path / "a").write_bytes(data)
    with fsspec.open("memory://digest/a", "wb") as file:
        file.write(data)
    assert digest("memory://digest/a") == digest(str(tmp_path / "a"))


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="absent"):
        digest(str(tmp_path / "absent"))
    with pytest.raises(MediaError, match="can't be read"):
        digest(str(tmp_path))
