"""What killed processes leave in the temporary directory, and half-written files: removed by the next run."""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mgn_ma.files import atomic_path, remove_unfinished
from mgn_ma.temporary import in_use, remove_abandoned_folders, temporary_folder

WRITER = """
import sys, time
from pathlib import Path
from mgn_ma.files import atomic_path
from mgn_ma.temporary import temporary_folder
with temporary_folder("videos") as folder, atomic_path(sys.argv[1]) as unfinished:
    (folder / "a.mp4").write_bytes(b"half")
    unfinished.write_bytes(b"half")
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


def test_a_temporary_folder_is_gone_afterwards_also_after_an_error(temporary: Path) -> None:
    with pytest.raises(ValueError, match="full"), temporary_folder("model") as folder:
        assert folder.parent == temporary and folder.name.startswith("mgn_ma-model-")
        (folder / "a").write_bytes(b"1")
        raise ValueError("full")
    assert list(temporary.iterdir()) == []


def test_what_a_process_works_with_stays_and_what_a_killed_one_left_is_removed(tmp_path: Path, temporary: Path) -> None:
    target = tmp_path / "data" / "deep" / "a.arrow"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(target)], stdout=subprocess.PIPE, text=True)
    try:
        assert writer.stdout is not None and writer.stdout.readline() == "writing\n"
        for killed in (False, True):
            if killed:
                writer.send_signal(signal.SIGKILL)
                writer.wait()
            remove_abandoned_folders()
            remove_unfinished(tmp_path / "data")
            n_left = 0 if killed else 1
            assert len(list(temporary.iterdir())) == len(list(target.parent.iterdir())) == n_left
    finally:
        writer.kill()
        writer.communicate()


def test_the_next_temporary_folder_removes_those_of_killed_processes_and_nothing_else(temporary: Path) -> None:
    for name in ("mgn_ma-videos-x", "tmpabc", "other-mgn_ma-y"):
        (temporary / name).mkdir()
    with temporary_folder("videos"), temporary_folder("model"):
        assert sorted(path.name[:14] for path in temporary.iterdir()) == [
            "mgn_ma-model-" + next(temporary.glob("mgn_ma-model-*")).name[13],
            "mgn_ma-videos-",
            "other-mgn_ma-y",
            "tmpabc",
        ]
        assert not (temporary / "mgn_ma-videos-x").exists()


def test_files_of_others_that_look_alike_stay(tmp_path: Path) -> None:
    (tmp_path / ".editor.tmp").write_bytes(b"1")
    (tmp_path / f"b.{'0' * 32}.tmp").write_bytes(b"1")
    below = tmp_path / "below" / f".a.{'0' * 32}.tmp"
    below.parent.mkdir()
    below.write_bytes(b"1")
    remove_unfinished(tmp_path, below=False)
    assert below.exists()
    remove_unfinished(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*.tmp")) == [".editor.tmp", f"b.{'0' * 32}.tmp"]


def test_a_folder_that_is_removed_before_it_is_locked_is_made_anew(temporary: Path) -> None:
    names = iter(["one", "two"])

    def make() -> Path:
        path = temporary / next(names)
        if path.name == "two":
            path.mkdir()
        return path

    with in_use(make) as folder:
        assert folder == temporary / "two"


def test_a_file_that_is_replaced_is_whole_while_others_clean_up(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a") as unfinished:
        remove_unfinished(tmp_path)
        unfinished.write_bytes(b"1")
        remove_unfinished(tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["a"]
