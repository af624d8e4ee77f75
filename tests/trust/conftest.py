"""Makes the tools of this folder and the clips of the media tests importable, and shows what was tried at the end."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "media")]

_told = []


@pytest.fixture
def tell():
    """Takes a line on what was tried and what came of it, for the end of the run."""
    return _told.append


def pytest_terminal_summary(terminalreporter):
    if _told:
        terminalreporter.section("what was tried")
        terminalreporter.write_line("\n".join(_told))
