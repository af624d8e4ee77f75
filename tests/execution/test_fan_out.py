from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import ValidationError

from mgn_ma.execution import ExecutionConfig, ExecutionError, PerItem, WorkerDiedError, run

ONE = ExecutionConfig()
TWO = ExecutionConfig(workers=2)
RAY = ExecutionConfig(engine="ray", workers=2)
ENGINES = [pytest.param(ONE, id="here"), pytest.param(TWO, id="processes")]
EVERY_ENGINE = [*ENGINES, pytest.param(RAY, id="ray", marks=pytest.mark.slow)]
THAT_SURVIVE = [pytest.param(TWO, id="processes"), pytest.param(RAY, id="ray", marks=pytest.mark.slow)]


@pytest.fixture
def workers() -> Any:
    import example_workers

    return example_workers


def results(outcomes: Iterable[Any]) -> dict[int, Any]:
    return {outcome.item: outcome.error or outcome.result for outcome in outcomes}


@pytest.mark.parametrize("config", EVERY_ENGINE)
def test_every_item_has_one_result_also_where_the_worker_reads_ahead(config: ExecutionConfig, workers: Any) -> None:
    outcomes = list(run(workers.SquaresInBatches(3), range(11), config))
    assert sorted(outcome.item for outcome in outcomes) == list(range(11))
    assert all(outcome.result[0] == outcome.item**2 for outcome in outcomes)
    assert all(outcome.seconds >= 0 for outcome in outcomes)
    processes = {outcome.result[1] for outcome in outcomes}
    assert (os.getpid() in processes) == (config == ONE)
    assert len(processes) <= config.workers


@pytest.mark.parametrize("config", ENGINES)
def test_nothing_to_do_builds_no_worker(config: ExecutionConfig, workers: Any) -> None:
    assert list(run(PerItem(workers.make_broken), [], config)) == []


@pytest.mark.parametrize("config", EVERY_ENGINE)
def test_an_exception_costs_the_item_that_raises_it_and_no_other(
    config: ExecutionConfig, workers: Any, tmp_path: Path
) -> None:
    found = results(run(workers.Trouble(tmp_path, raiser=5, size=4), range(9), config))
    assert isinstance(found.pop(5), ValueError)
    assert found == {item: item**2 for item in range(9) if item != 5}


@pytest.mark.parametrize("config", THAT_SURVIVE)
def test_a_killed_worker_loses_nothing(config: ExecutionConfig, workers: Any, tmp_path: Path) -> None:
    trouble = workers.Trouble(tmp_path, killer_once=4)
    found = results(run(trouble, range(10), config))
    assert found == {item: item**2 for item in range(10)}
    assert trouble.tries(4) == 2
    assert trouble.builds() >= 2


@pytest.mark.parametrize("config", THAT_SURVIVE)
def test_an_item_that_kills_every_worker_is_given_up_and_takes_no_other_with_it(
    config: ExecutionConfig, workers: Any, tmp_path: Path
) -> None:
    trouble = workers.Trouble(tmp_path, killer=3, size=4)
    found = results(run(trouble, range(8), config))
    error = found.pop(3)
    assert isinstance(error, WorkerDiedError)
    assert "3 times" in str(error)
    assert found == {item: item**2 for item in range(8) if item != 3}
    # Three tries alone, and perhaps one before in company, where nobody knows whose fault it was.
    assert trouble.tries(3) in (3, 4)


def test_without_retries_an_item_alone_in_its_worker_has_one_try(workers: Any, tmp_path: Path) -> None:
    trouble = workers.Trouble(tmp_path, killer=3, size=1)
    found = results(run(trouble, range(5), ExecutionConfig(workers=2, retries=0)))
    assert isinstance(found[3], WorkerDiedError)
    assert "SIGKILL" in str(found[3])
    assert trouble.tries(3) == 1


@pytest.mark.parametrize("config", EVERY_ENGINE)
def test_a_worker_that_cannot_be_built_stops_the_run_with_its_own_error(config: ExecutionConfig, workers: Any) -> None:
    with pytest.raises(FileNotFoundError, match=r"s3d\.pth"):
        list(run(PerItem(workers.make_broken), [1, 2, 3], config))


@pytest.mark.parametrize("config", THAT_SURVIVE)
def test_workers_that_die_before_any_work_stop_the_run(config: ExecutionConfig, workers: Any) -> None:
    with pytest.raises(ExecutionError, match="before they took any work"):
        list(run(PerItem(workers.make_dying), [1, 2, 3], config))


@pytest.mark.parametrize("config", ENGINES)
def test_a_worker_that_takes_nothing_of_a_stream_does_not_hang(config: ExecutionConfig, workers: Any) -> None:
    found = results(run(workers.TakesNothing(), range(3), config))
    assert {item: str(error) for item, error in found.items()} == dict.fromkeys(
        range(3), "the worker gave no result for it"
    )


def test_an_exception_that_cannot_be_pickled_still_says_what_it_was(workers: Any) -> None:
    found = results(run(PerItem(workers.make_raise_unpicklable), [1, 2], TWO))
    assert "UnpicklableError: left right" in str(found[1])
    assert "raise_unpicklable" in "".join(found[1].__notes__)


def test_the_log_of_a_worker_is_heard_here(workers: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        list(run(PerItem(workers.make_warn), [1, 2], TWO))
    assert {r.getMessage() for r in caplog.records} >= {"halved the batch at 1", "halved the batch at 2"}


def test_cores_are_divided_among_processes(workers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("mgn_ma.execution.processes.usable_cpus", lambda: 8)
    found = results(run(PerItem(workers.make_threads), [1, 2], TWO))
    assert found == {1: "4", 2: "4"}
    assert "OMP_NUM_THREADS" not in os.environ


def test_closing_the_iterator_ends_the_workers(workers: Any, tmp_path: Path) -> None:
    outcomes = run(workers.Trouble(tmp_path, pause=0.3), range(200), TWO)
    next(outcomes)
    built = {int(p.name.removeprefix("built-")) for p in tmp_path.glob("built-*")}
    began = time.perf_counter()
    outcomes.close()  # type: ignore[attr-defined]
    assert time.perf_counter() - began < 3.0
    assert not any(psutil.pid_exists(pid) for pid in built)


@pytest.mark.parametrize("engine", ["local", pytest.param("ray", marks=pytest.mark.slow)])
@pytest.mark.slow
def test_ctrl_c_stops_promptly_and_leaves_no_process(engine: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            f"""
            from pathlib import Path
            import sys
            sys.path.insert(0, {str(Path(__file__).parent)!r})
            from example_workers import Sleeper
            from mgn_ma.execution import ExecutionConfig, PerItem, run

            if __name__ == "__main__":
                config = ExecutionConfig(engine={engine!r}, workers=2)
                list(run(PerItem(Sleeper(Path({str(tmp_path)!r}))), range(4), config))
            """
        )
    )
    process = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.PIPE, start_new_session=True)
    pids = wait_for(lambda: {int(p.name) for p in tmp_path.iterdir() if p.name.isdigit()}, count=2)
    began = time.perf_counter()
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does
    _, err = process.communicate(timeout=20)
    assert time.perf_counter() - began < 10.0
    assert b"KeyboardInterrupt" in err
    assert process.returncode not in (0, -signal.SIGKILL)
    assert wait_for(lambda: {pid for pid in pids if not psutil.pid_exists(pid)}, count=2) == pids


@pytest.mark.slow
def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            f"""
            from pathlib import Path
            import sys
            sys.path.insert(0, {str(Path(__file__).parent)!r})
            from example_workers import Trouble
            from mgn_ma.execution import ExecutionConfig, run

            if __name__ == "__main__":
                list(run(Trouble(Path({str(tmp_path)!r}), pause=0.2), range(1000), ExecutionConfig(workers=2)))
            """
        )
    )
    process = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL)
    files = wait_for(lambda: {p.name for p in tmp_path.glob("built-*")}, count=2)
    process.kill()
    process.wait()
    pids = {int(name.removeprefix("built-")) for name in files}
    assert wait_for(lambda: {pid for pid in pids if not psutil.pid_exists(pid)}, count=2) == pids


def wait_for(look: Any, count: int, seconds: float = 40.0) -> Any:
    deadline = time.monotonic() + seconds
    while len(found := look()) < count:
        assert time.monotonic() < deadline, f"waited in vain; there is {found}"
        time.sleep(0.1)
    return found


def test_importing_the_room_does_not_import_ray() -> None:
    code = "import sys, mgn_ma.execution; sys.exit('ray' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_no_ray_at_the_address_is_said(workers: Any) -> None:
    import ray

    ray.shutdown()  # one that an earlier test has started would be used
    config = ExecutionConfig(engine="ray", address="127.0.0.1:1")
    with pytest.raises(ExecutionError, match=r"127\.0\.0\.1:1"):
        list(run(PerItem(workers.make_square), [1], config))


@pytest.mark.slow
def test_a_gpu_that_is_not_there_is_said(workers: Any) -> None:
    config = ExecutionConfig(engine="ray", gpus_per_worker=64.0)
    with pytest.raises(ExecutionError, match="64"):
        list(run(PerItem(workers.make_square), [1], config))


@pytest.mark.parametrize(
    "settings",
    [{"engine": "slurm"}, {"workers": 0}, {"threads": 3}, {"address": "auto"}, {"gpus_per_worker": 1.0}],
)
def test_wrong_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ExecutionConfig(**settings)


def test_a_reader_that_outlives_its_stream_takes_nothing_from_the_next(workers: Any) -> None:
    """A thread that still reads ahead when an exception ends the stream must not swallow an item."""
    late: list[Any] = []

    def work(items: Iterable[int]) -> Iterator[int]:
        items = iter(items)
        late.append(items)
        for item in items:
            if item == 3:
                raise ValueError("three")
            yield item * item

    outcomes = []
    for outcome in run(lambda: work, range(8), ONE):
        outcomes.append(outcome)
        if outcome.item == 3:
            assert next(late[0], None) is None
    found = results(outcomes)
    assert isinstance(found.pop(3), ValueError)
    assert found == {item: item**2 for item in range(8) if item != 3}


def counting(items: Iterable[int]) -> Iterator[int]:
    for item in items:
        time.sleep(0.05)
        yield item


def test_seconds_are_the_time_spent_on_an_item_here() -> None:
    outcomes = list(run(lambda: counting, range(4), ONE))
    assert all(0.04 < outcome.seconds < 0.5 for outcome in outcomes)
