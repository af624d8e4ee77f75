from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tiny_whisper import save_tiny_whisper

HERE = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "media")]
# Spawned processes get it, too.
sys.path[:0] = HERE


@pytest.fixture(scope="session")
def tiny_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_whisper(tmp_path_factory.mktemp("whisper"))
