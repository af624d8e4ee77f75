"""`kedro run --pipelines promotion` on a real registry with this project's configuration, all from the command line."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from tiny_ensemble import DATA, extractors

from mgn_ma.features.store import TrackStore
from mgn_ma.features.track import Selection

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
BEST, GOOD, BAD = 0.0, 0.1, 0.8
"""Noise on the weights of the ensemble that has made the labels."""

# One process for all command lines: each would need seconds to import the same.
STEPS = """
import json, os, sys, shlex
sys.path.insert(0, {tests!r})
from kedro.framework.cli import main
import mlflow
import tiny_ensemble
from mgn_ma.tracking.registry import ModelRegistry

for step in json.load(sys.stdin):
    kind, value = step
    if kind == "register":
        client = mlflow.MlflowClient({uri!r})
        run = client.create_run(client.get_experiment_by_name("mgn_ma").experiment_id)
        ModelRegistry({uri!r}, run_id=run.info.run_id).register(tiny_ensemble.bundle(**value))
        continue
    sys.argv = ["kedro", *shlex.split(value)]
    try:
        main()
        ended = 0
    except SystemExit as left:
        ended = left.code or 0
    except BaseException as error:
        ended = f"{{type(error).__name__}}: {{error}}"
    aliases = mlflow.MlflowClient({uri!r}).get_registered_model("mgn-ma").aliases
    print("ENDED", json.dumps([ended, aliases]))
"""


@pytest.fixture(scope="module")
def project(tiny, empty_database, tmp_path_factory):
    """This project with the miniature's tracks and labels as its sample."""
    path = tmp_path_factory.mktemp("promotion")
    for name in ("conf", "src"):
        shutil.copytree(ROOT / name, path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / name, path)
    shutil.copy(empty_database, path / "mlflow.db")
    client = MlflowClient(f"sqlite:///{path}/mlflow.db")
    client.create_experiment("mgn_ma", artifact_location=str(path / "mlartifacts"))
    data = path / "data/sample"
    shutil.copytree(tiny.root, data / "04_feature")
    # No video of the miniature has an action track.
    TrackStore(data / "04_feature").select(Selection("action", extractors()["action"].fingerprint(), {}))
    (data / "02_intermediate").mkdir()
    tiny.labels.to_parquet(data / "02_intermediate/labels_validation.parquet")
    tiny.labels.iloc[:0].to_parquet(data / "02_intermediate/labels_holdout.parquet")
    (data / "03_primary").mkdir()
    (data / "03_primary/data_fingerprint.json").write_text(json.dumps({"fingerprint": DATA}))
    return path


def take(project, *steps):
    """How each command line ended, and the aliases after it."""
    code = STEPS.format(tests=str(ROOT / "tests/support"), uri=f"sqlite:///{project}/mlflow.db")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")} | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(steps),
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.removeprefix("ENDED ") for line in done.stdout.splitlines() if line.startswith("ENDED ")]
    return [json.loads(line) for line in lines], done.stdout


def test_promotion_and_roll_back_from_the_command_line(project):
    promotion = "run --env sample --pipelines promotion"
    steps = [
        ("register", {"noise": GOOD}),
        ("kedro", f"{promotion} --params promotion.dry_run=true"),
        ("kedro", promotion),
        ("register", {"noise": BAD}),
        ("kedro", promotion),
        ("register", {"noise": GOOD, "method": "mean"}),
        ("kedro", promotion),
        ("register", {"noise": BEST}),
        ("kedro", promotion),
        ("kedro", f"{promotion} --params promotion.version=1"),
        ("register", {"noise": BEST, "data": "e" * 64}),
        ("kedro", promotion),
        ("kedro", f"{promotion} --params promotion.version=9"),
    ]
    (dry, first, worse, equal, better, back, other, missing), output = take(project, *steps)
    assert dry == [0, {"challenger": 1}]
    assert first == [0, {"challenger": 1, "champion": 1}]
    assert worse == [0, {"challenger": 2, "champion": 1}]
    assert equal == [0, {"challenger": 3, "champion": 1}]
    assert better == [0, {"challenger": 4, "champion": 4}]
    assert back == [0, {"challenger": 4, "champion": 1}]
    assert other[1] == missing[1] == {"challenger": 5, "champion": 1}
    assert other[0].startswith(
        "PromotionRefusedError: Version 5 was not promoted: it and version 1 differ in data eeee"
    )
    assert "mgn-ma has no version 9, it has 1, 2, 3, 4, 5" in missing[0]
    assert "Version 1 would be the champion" in output
    assert "Version 2 is not promoted: it scores" in output

    client = MlflowClient(f"sqlite:///{project}/mlflow.db")
    decisions = [client.get_model_version("mgn-ma", str(n)).tags["promotion.decision"] for n in range(1, 6)]
    assert decisions == ["set_by_hand", "kept", "kept", "promoted", "refused"]
    assert "promoted: " in client.get_model_version("mgn-ma", "4").description
    runs = client.search_runs([client.get_experiment_by_name("mgn_ma").experiment_id])
    ended = [run for run in runs if run.info.run_name == "promotion [sample]"]
    assert client.get_model_version("mgn-ma", "4").tags["promotion.run_id"] in {run.info.run_id for run in ended}
    assert [run.info.status for run in ended].count("FAILED") == 2

    runs = sorted(ended, key=lambda run: run.info.start_time)
    kept = [project / "mlartifacts" / run.info.run_id / "artifacts/reports/promotion.json" for run in runs]
    outcomes = [json.loads(report.read_text())["outcome"] for report in kept if report.exists()]
    assert outcomes == ["promoted", "promoted", "kept", "kept", "promoted", "set_by_hand", "refused"]
    last = json.loads((project / "data/sample/08_reporting/promotion.json").read_text())
    assert last["reason"].startswith("it and version 1 differ in data")
