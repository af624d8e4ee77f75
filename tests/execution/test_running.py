from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import ValidationError

from mgn_ma.execution import ExecutionConfig, ExecutionError, TimeLimitError, WorkerDiedError, run
from mgn_ma.machine import usable_cpus

ONE = ExecutionConfig()
TWO = ExecutionConfig(workers=2)
RAY = ExecutionConfig(engine="ray", workers=2)
BOTH_ENGINES = [pytest.param(TWO, id="local"), pytest.param(RAY, id="ray", marks=pytest.mark.slow)]


@pytest.fixture
def workers() -> Any:
    import example_workers

    return example_workers


def results(outcomes: Iterable[Any]) -> dict[Any, Any]:
    return {outcome.item: outcome.error or outcome.result for outcome in outcomes}


@pytest.mark.parametrize("config", [ONE, *BOTH_ENGINES])
def test_every_item_has_one_outcome_from_another_process(config: ExecutionConfig, workers: Any) -> None:
    outcomes = list(run(workers.Make("square"), range(11), config))
    assert sorted(outcome.item for outcome in outcomes) == list(range(11))
    assert all(outcome.result[0] == outcome.item**2 for outcome in outcomes)
    assert all(0 <= outcome.seconds < 1 for outcome in outcomes)
    processes = {outcome.result[1] for outcome in outcomes}
    assert os.getpid() not in processes
    assert len(processes) <= config.workers


def test_what_needs_no_isolation_runs_here_with_one_worker_and_elsewhere_with_two() -> None:
    built: list[int] = []

    def make() -> Any:
        built.append(1)
        return lambda item: (10 // item, os.getpid())

    found = results(run(make, [1, 0, 2], ONE, isolated=False))
    assert isinstance(found.pop(0), ZeroDivisionError)
    assert found == {1: (10, os.getpid()), 2: (5, os.getpid())}
    assert len(built) == 1
    assert os.getpid() not in {result[1] for result in results(run(make, [1, 2], TWO, isolated=False)).values()}


@pytest.mark.parametrize("isolated", [True, False])
def test_nothing_to_do_builds_nothing(isolated: bool, workers: Any) -> None:
    assert list(run(workers.make_broken, [], ONE, isolated=isolated)) == []


@pytest.mark.parametrize("config", BOTH_ENGINES)
def test_a_bad_item_costs_itself_and_no_other(config: ExecutionConfig, workers: Any) -> None:
    limited = config.model_copy(update={"retries": 0, "time_limit_s": 3.0, "memory_limit_gib": 4.0})
    good = [f"good {number}" for number in range(4)]
    bad = ["crash", "hang", "hang_in_c", "bomb", "exit", "raise", "unpicklable"]
    found = results(run(workers.Make("misbehave"), [*bad, *good], limited))
    assert {item: found.pop(item) for item in good} == {item: item for item in good}
    assert {item: type(error) for item, error in found.items()} == {
        "crash": WorkerDiedError,
        "hang": TimeLimitError,
        "hang_in_c": TimeLimitError,
        "bomb": MemoryError,
        "exit": RuntimeError,
        "raise": ValueError,
        "unpicklable": RuntimeError,
    }
    assert "SIGSEGV" in str(found["crash"])
    assert "3 s" in str(found["hang"])
    assert "SystemExit: 7" in str(found["exit"])
    assert "UnpicklableError: left right" in str(found["unpicklable"])
    assert "in misbehave" in "".join(found["unpicklable"].__notes__)


@pytest.mark.parametrize("config", BOTH_ENGINES)
def test_a_killed_worker_loses_nothing(config: ExecutionConfig, workers: Any, tmp_path: Path) -> None:
    trouble = workers.Trouble(tmp_path, killer_once=4)
    found = results(run(trouble, range(10), config))
    assert found == {item: item**2 for item in range(10)}
    assert trouble.tries(4) == 2
    assert len(trouble.builds()) >= 2


@pytest.mark.parametrize("config", BOTH_ENGINES)
def test_an_item_that_kills_every_worker_is_given_up_and_takes_no_other_with_it(
    config: ExecutionConfig, workers: Any, tmp_path: Path
) -> None:
    trouble = workers.Trouble(tmp_path, killer=3)
    found = results(run(trouble, range(8), config))
    error = found.pop(3)
    assert isinstance(error, WorkerDiedError)
    assert "3 times" in str(error)
    assert "SIGKILL" in str(error)
    assert found == {item: item**2 for item in range(8) if item != 3}
    assert trouble.tries(3) == 3


@pytest.mark.parametrize("config", BOTH_ENGINES)
def test_a_function_that_cannot_be_built_stops_the_run_with_its_own_error(
    config: ExecutionConfig, workers: Any
) -> None:
    with pytest.raises(FileNotFoundError, match=r"s3d\.pth"):
        list(run(workers.make_broken, [1, 2, 3], config))


@pytest.mark.parametrize("config", BOTH_ENGINES)
def test_workers_that_die_before_any_work_stop_the_run(config: ExecutionConfig, workers: Any) -> None:
    with pytest.raises(ExecutionError, match="before they took any work"):
        list(run(workers.make_dying, [1, 2, 3], config))


def test_the_log_of_a_worker_is_heard_here(workers: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        list(run(workers.Make("warn"), [1, 2], TWO))
    assert {r.getMessage() for r in caplog.records} >= {"halved the batch at 1", "halved the batch at 2"}


def test_cores_are_divided_among_workers(workers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mgn_ma.execution.running.usable_cpus", lambda: 6)
    before = os.environ.get("OMP_NUM_THREADS")
    assert results(run(workers.Make("threads"), [1, 2], TWO)) == {1: ("3", {3}), 2: ("3", {3})}
    assert os.environ.get("OMP_NUM_THREADS") == before


@pytest.mark.slow
def test_both_engines_compute_the_same_bits(workers: Any) -> None:
    found = results(run(workers.Make("bits"), [1, 2], TWO))
    assert found == results(run(workers.Make("bits"), [1, 2], RAY))
    assert {threads for threads, _ in found.values()} == {max(1, usable_cpus() // 2)}


def test_workers_wait_for_a_consumer_that_is_slow(workers: Any, tmp_path: Path) -> None:
    outcomes = run(workers.Trouble(tmp_path), range(200), TWO)
    next(outcomes)
    time.sleep(0.5)
    assert len(list(tmp_path.glob("tries-*"))) <= 5
    assert len(list(outcomes)) == 199


def test_closing_the_iterator_ends_the_workers(workers: Any, tmp_path: Path) -> None:
    trouble = workers.Trouble(tmp_path, pause=0.3)
    outcomes = run(trouble, range(200), TWO)
    next(outcomes)
    began = time.perf_counter()
    outcomes.close()  # type: ignore[attr-defined]
    assert time.perf_counter() - began < 3.0
    assert trouble.builds()
    assert not any(psutil.pid_exists(pid) for pid in trouble.builds())


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("engine", ["local", "ray"])
@pytest.mark.slow
def test_no_worker_outlives_its_program(engine: str, ending: signal.Signals, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            f"""
            from pathlib import Path
            import sys
            sys.path.insert(0, {str(Path(__file__).parent)!r})
            from example_workers import Trouble
            from mgn_ma.execution import ExecutionConfig, run

            config = ExecutionConfig(engine={engine!r}, workers=2)
            list(run(Trouble(Path({str(tmp_path)!r}), pause=60.0), range(4), config))
            """
        )
    )
    process = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.PIPE, start_new_session=True)

    def built() -> set[int]:
        return {int(path.name.removeprefix("built-")) for path in tmp_path.glob("built-*")}

    pids = wait_for(built, count=2)
    began = time.perf_counter()
    if ending == signal.SIGINT:
        os.killpg(process.pid, signal.SIGINT)  # what a terminal does
    else:
        process.kill()
    _, err = process.communicate(timeout=20)
    assert time.perf_counter() - began < 10.0
    if ending == signal.SIGINT:
        assert b"KeyboardInterrupt" in err
        assert process.returncode not in (0, -signal.SIGKILL)
    assert wait_for(lambda: {pid for pid in pids if not psutil.pid_exists(pid)}, count=2) == pids


def wait_for(look: Any, count: int, seconds: float = 40.0) -> Any:
    deadline = time.monotonic() + seconds
    while len(found := look()) < count:
        assert time.monotonic() < deadline, f"waited in vain; there is {found}"
        time.sleep(0.1)
    return found


def test_importing_the_room_imports_neither_ray_nor_torch() -> None:
    code = "import sys, mgn_ma.execution; sys.exit('ray' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_no_ray_at_the_address_is_said(workers: Any) -> None:
    import ray

    ray.shutdown()  # one that an earlier test has started would be used
    config = ExecutionConfig(engine="ray", address="127.0.0.1:1")
    with pytest.raises(ExecutionError, match=r"127\.0\.0\.1:1"):
        list(run(workers.Make("square"), [1], config))


@pytest.mark.slow
def test_a_gpu_that_is_not_there_is_said(workers: Any) -> None:
    config = ExecutionConfig(engine="ray", gpus_per_worker=64.0)
    with pytest.raises(ExecutionError, match="64"):
        list(run(workers.Make("square"), [1], config))


@pytest.mark.parametrize(
    "settings",
    [
        {"engine": "slurm"},
        {"workers": 0},
        {"threads": 3},
        {"address": "auto"},
        {"gpus_per_worker": 1.0},
        {"time_limit_s": 0},
        {"memory_limit_gib": -1},
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ExecutionConfig(**settings)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has pipes where others have sockets")
def test_a_temporary_directory_may_have_a_longer_path_than_a_socket(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    code = (
        "from math import sqrt\n"
        "from mgn_ma.execution import ExecutionConfig, ready, run\n"
        "found = sorted(outcome.result for outcome in run(ready(sqrt), [1.0, 4.0], ExecutionConfig(workers=2)))\n"
        "assert found == [1.0, 2.0]"
    )
    environment = os.environ | {"TMPDIR": str(folder)}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
