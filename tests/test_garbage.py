"""A command that starts does not look through what it imports again and again."""

import subprocess
import sys

import pytest

CALL = """
import atexit, gc

atexit.register(lambda: print(gc.get_freeze_count() > 0))
{start}
print(gc.get_threshold()[0])
"""


@pytest.mark.parametrize(
    "start",
    [
        "import mgn_ma.settings",
        "from mgn_ma.command import main\ntry:\n    main(['--version'])\nexcept SystemExit:\n    pass",
    ],
    ids=["kedro", "mgn-ma"],
)
def test_the_collector_is_rarely_called_and_not_at_the_end(start):
    done = subprocess.run([sys.executable, "-c", CALL.format(start=start)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["50000", "True"]
