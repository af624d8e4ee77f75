"""The limits of control groups, as both versions of them write them down."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mgn_ma.machine import usable_memory

PHYSICAL = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
NO_LIMIT_V1 = "9223372036854771712"


def write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


@pytest.mark.parametrize(
    ("own_groups", "limits", "expected"),
    [
        ("0::/", {"memory.max": "1048576"}, 1048576),
        ("0::/jobs/7", {"jobs/7/memory.max": "max", "jobs/memory.max": "2097152"}, 2097152),
        ("0::/jobs/7", {"jobs/7/memory.max": "4096", "jobs/memory.max": "2097152"}, 4096),
        ("0::/of/the/host", {"memory.max": "8192"}, 8192),
        ("0::/jobs/7", {"jobs/8/memory.max": "4096"}, PHYSICAL),
        ("5:cpu,memory:/job\n1:name=systemd:/x", {"memory/job/memory.limit_in_bytes": "8192"}, 8192),
        ("4:memory:/job\n0::/", {"memory/job/memory.limit_in_bytes": NO_LIMIT_V1}, PHYSICAL),
        ("4:cpu:/job", {"memory/job/memory.limit_in_bytes": "8192"}, PHYSICAL),
        ("", {}, PHYSICAL),
    ],
)
def test_the_smallest_limit_counts(tmp_path: Path, own_groups: str, limits: dict[str, str], expected: int) -> None:
    for name, limit in limits.items():
        write(tmp_path / "cgroup" / name, limit)
    assert usable_memory(tmp_path / "cgroup", write(tmp_path / "own", own_groups)) == expected


def test_without_control_groups_it_is_the_machine_s(tmp_path: Path) -> None:
    assert usable_memory(tmp_path, tmp_path / "none") == PHYSICAL
