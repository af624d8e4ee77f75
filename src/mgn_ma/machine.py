"""What this process may use of its machine: all of it, or what a container or a batch system leaves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

UNKNOWN_MEMORY = 8 * 2**30
"""Bytes assumed where the system doesn't tell."""


def usable_cpus() -> int:
    """Processor cores that this process may use: its affinity and its container's limit (cgroup) count."""
    from joblib import cpu_count  # here, so that who never asks does not import it

    return int(cpu_count())


def usable_memory(cgroups: Path = Path("/sys/fs/cgroup"), own_groups: Path = Path("/proc/self/cgroup")) -> int:
    """Bytes of physical memory, or of the smallest limit of the control groups (v1 and v2) that this process is in.

    Args:
        cgroups: where the groups are mounted.
        own_groups: the file that lists those of this process.
    """
    return min([_physical_memory(), *_limits(cgroups, own_groups)])


def _physical_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return UNKNOWN_MEMORY


def _limits(cgroups: Path, own_groups: Path) -> Iterator[int]:
    """Limits of the process's groups and of all above them; a container sees its own group as the root of the tree."""
    try:
        lines = own_groups.read_text().splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            tree, name = cgroups, "memory.max"
        elif "memory" in controllers.split(","):
            tree, name = cgroups / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = Path(path.lstrip("/"))
        for folder in (group, *group.parents):
            limit = _read_limit(tree / folder / name)
            if limit is not None:
                yield limit


def _read_limit(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # no such group here, or "max"
        return None
