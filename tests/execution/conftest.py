from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

HERE = str(Path(__file__).parent)


@pytest.fixture(scope="session", autouse=True)
def _workers_can_be_imported() -> None:
    """Spawned processes get ``sys.path``, Ray's get ``PYTHONPATH``."""
    sys.path.insert(0, HERE)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [HERE, os.environ.get("PYTHONPATH")]))
