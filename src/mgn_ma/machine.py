"""What this process may use of its machine."""

from __future__ import annotations


def usable_cpus() -> int:
    """Processor cores that this process may use: its affinity and its container's limit (cgroup) count."""
    from joblib import cpu_count  # here, so that who never asks does not import it

    return int(cpu_count())
