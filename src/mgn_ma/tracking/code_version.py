"""Which code a run was made with: the git commit, and whether files differed from it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CodeVersion:
    """A commit, and how many files (tracked or new, not ignored) are unlike it."""

    commit: str
    branch: str
    changed_files: int

    @property
    def dirty(self) -> bool:
        """Whether the commit alone does not give this code."""
        return self.changed_files > 0


def code_version(project_path: Path) -> CodeVersion | None:
    """The version of the code under ``project_path``; ``None`` outside a git repository or without git."""
    try:
        commit = _git(project_path, "rev-parse", "HEAD").strip()
        branch = _git(project_path, "rev-parse", "--abbrev-ref", "HEAD").strip()
        changed = _git(project_path, "status", "--porcelain", "--", ".").splitlines()
    except (OSError, subprocess.SubprocessError):
        return None
    return CodeVersion(commit, branch, len(changed))


def _git(project_path: Path, *arguments: str) -> str:
    command = ["git", "-C", str(project_path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout  # noqa: S603
