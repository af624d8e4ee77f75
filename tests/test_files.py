"""A file appears whole or not at all, wherever it is."""

import errno
import os
import pickle
from pathlib import Path

import fsspec
import pytest

from mgn_ma.files import Folder, atomic_path, write_atomically


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    write_atomically(path, b"one")
    with atomic_path(path) as unfinished:
        unfinished.write_bytes(b"two")
        assert path.read_bytes() == b"one"
    assert path.read_bytes() == b"two"
    assert names(path.parent) == ["a.txt"]


@pytest.mark.parametrize("fails", ["in the block", "when it is synchronised"])
def test_after_an_error_the_old_file_stands_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    if fails != "in the block":
        monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left") as raised, atomic_path(path) as unfinished:
        unfinished.write_bytes(b"tw")
        if fails == "in the block":
            full()
    assert raised.value.filename == str(path)
    assert path.read_bytes() == b"one"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("place", ["local", "memory"])
def test_a_folder_reads_what_it_wrote_also_when_pickled(tmp_path: Path, place: str) -> None:
    folder = Folder(tmp_path if place == "local" else f"memory://{tmp_path.name}")
    assert folder.read("deep/a.txt") is None
    assert not folder.exists("deep/a.txt")
    folder.write("deep/a.txt", b"one")
    folder.write("deep/a.txt", b"two")
    assert pickle.loads(pickle.dumps(folder)).read("deep/a.txt") == b"two"
    assert folder.exists("deep/a.txt")


def test_another_file_system_gets_the_content_at_once(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    path = f"/{tmp_path.name}/a.txt"
    write_atomically(path, b"one", memory)
    assert memory.cat_file(path) == b"one"
