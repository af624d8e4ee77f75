"""The commit, and whether the code differs from it."""

import subprocess

import pytest

from mgn_ma.tracking.code_version import code_version


@pytest.fixture
def repository(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        command = ["git", *identity, "-C", str(tmp_path), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    (tmp_path / "a.py").write_text("1")
    (tmp_path / ".gitignore").write_text("data/\n")
    git("init", "-q", "-b", "trunk")
    git("add", ".")
    git("commit", "-qm", "one")
    return tmp_path, git


def test_a_clean_tree(repository):
    path, git = repository
    (path / "data").mkdir()
    (path / "data/ignored").touch()
    version = code_version(path)
    assert (version.commit, version.branch, version.dirty) == (git("rev-parse", "HEAD"), "trunk", False)


def test_changed_and_new_files_are_counted(repository):
    path, _ = repository
    (path / "a.py").write_text("2")
    (path / "b.py").touch()
    assert (code_version(path).changed_files, code_version(path).dirty) == (2, True)


def test_no_repository_or_no_commit_yet(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert code_version(tmp_path) is None
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert code_version(tmp_path) is None


def test_no_git(repository, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert code_version(repository[0]) is None
