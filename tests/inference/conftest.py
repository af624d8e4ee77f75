"""Makes the miniature ensemble importable for the tests of this folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import tiny_ensemble


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Six videos in a store, and the labels that the ensemble without noise gives them."""
    return tiny_ensemble.make(tmp_path_factory.mktemp("tiny"))
