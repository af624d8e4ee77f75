"""What every test starts from."""

import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))


def pytest_configure():
    """Let Ctrl-C work: a shell that starts the tests in the background has them, and what they start, ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
