"""Who may write at the same time as whom, and what a killed run leaves to the next."""

import json
import signal
import subprocess
import sys
import time

import pytest

from mgn_ma.run_lock import FOLDER, BusyError, claimed

HOLDER = """
import sys, time
from pathlib import Path
from mgn_ma.run_lock import claimed
with claimed(Path(sys.argv[1]), "kedro run --pipelines training", ["members"], ["labels"]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(tmp_path):
    """Another process that writes ``members`` and reads ``labels``."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_what_another_process_works_with_is_refused_with_its_owner_and_age(tmp_path, other):
    for writes, reads in ((["members"], []), (["x"], ["members"]), (["labels"], [])):
        with pytest.raises(BusyError) as refused, claimed(tmp_path, "b", writes, reads):
            raise AssertionError
        assert f"process {other.pid} on " in str(refused.value)
        assert "`kedro run --pipelines training`, begun 0 min ago" in str(refused.value)
        assert (writes[0] if reads == [] else reads[0]) in str(refused.value)
    assert len(list((tmp_path / FOLDER).glob("*.json"))) == 1


def test_two_that_share_only_what_they_read_run_at_once(tmp_path, other):
    with claimed(tmp_path, "b", ["curves"], ["labels"]), claimed(tmp_path, "c", [], ["labels"]):
        assert len(list((tmp_path / FOLDER).glob("*.json"))) == 3


def test_the_claim_of_a_killed_process_keeps_nobody_out_and_is_removed(tmp_path, other):
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert len(list((tmp_path / FOLDER).glob("*.json"))) == 1
    with claimed(tmp_path, "b", ["members"]) as mine:
        assert list((tmp_path / FOLDER).glob("*.json")) == [mine]
        assert json.loads(mine.read_text())["writes"] == ["members"]
    assert list((tmp_path / FOLDER).glob("*.json")) == []


def test_an_age_is_hours_and_minutes(tmp_path, monkeypatch):
    later = time.time() + 2 * 3600 + 200
    with claimed(tmp_path, "a", ["x"]):
        monkeypatch.setattr("mgn_ma.run_lock.time.time", lambda: later)
        with pytest.raises(BusyError, match=r"begun 2 h 3 min ago"), claimed(tmp_path, "b", ["x"]):
            raise AssertionError
