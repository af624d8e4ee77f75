"""A member's run grows while it trains, ends as the training ends, and never takes the training with it."""

import logging
import pickle
import threading
import time

import mlflow
import pytest
from kedro.io import DatasetError
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from mgn_ma.datasets.tracker import TrackerDataset
from mgn_ma.tracking import outage
from mgn_ma.tracking.tracker import MlflowTracker, NullTracker, current_tracker

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def asked():
    """Whatever did not answer in one test is asked in the next."""
    yield
    outage.ask_again()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A database with one open run: its address, its client, the experiment's and the run's id."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"
    client = MlflowClient(uri)
    experiment = client.create_experiment("test")
    return uri, client, experiment, client.create_run(experiment).info.run_id


@pytest.fixture
def tracker(store):
    uri, _, experiment, parent = store
    return MlflowTracker(uri, experiment, parent)


def member(store, name):
    _, client, experiment, _ = store
    (found,) = client.search_runs([experiment], f"attributes.run_name = '{name}'")
    return found


def test_numbers_can_be_seen_while_the_member_trains(store, tracker):
    _, client, _, parent = store
    with tracker.member("live", {"seed": 3, "optimiser": {"rate": 0.1}}) as log:
        log({"train_loss": 0.5, "validation_correlation": float("nan")}, 1)
        log({"train_loss": 0.25, "validation_correlation": 0.3}, 2)
        running = member(store, "live")
        assert running.info.status == "RUNNING"
        assert running.data.metrics["train_loss"] == 0.25
        history = client.get_metric_history(running.info.run_id, "train_loss")
        assert [(point.step, point.value) for point in history] == [(1, 0.5), (2, 0.25)]
    ended = member(store, "live")
    assert ended.info.status == "FINISHED"
    assert ended.data.tags["mlflow.parentRunId"] == parent
    assert ended.data.params == {"seed": "3", "optimiser.rate": "0.1"}


@pytest.mark.parametrize(("error", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_status_tells_how_it_ended(store, tracker, error, status):
    with pytest.raises(error), tracker.member(status, {}):
        raise error
    assert member(store, status).info.status == status


def test_members_report_at_once_from_threads_and_through_pickles(store, tracker):
    def train(seed):
        with pickle.loads(pickle.dumps(tracker)).member(f"parallel_{seed}", {"seed": seed}) as log:
            again = pickle.loads(pickle.dumps(log))
            for epoch in range(3):
                again({"r": seed + epoch}, epoch)

    threads = [threading.Thread(target=train, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(3):
        run = member(store, f"parallel_{seed}")
        assert (run.info.status, run.data.metrics["r"]) == ("FINISHED", seed + 2)


def test_training_goes_on_without_a_server_and_asks_it_again_after_a_while_only(store, tracker, monkeypatch, caplog):
    asked, answers = [], MlflowClient.log_batch

    def down(*_, **__):
        asked.append(1)
        raise MlflowException("connection refused")

    with caplog.at_level(logging.WARNING), tracker.member("lonely", {}) as log:
        log({"r": 1}, 1)
        monkeypatch.setattr(MlflowClient, "log_batch", down)
        for epoch in range(2, 6):
            log({"r": epoch}, epoch)
        monkeypatch.setattr(MlflowClient, "log_batch", answers)
        log({"r": 6}, 6)
        monkeypatch.setattr(outage, "_asked_again_at", time.monotonic())  # the pause is over
        log({"r": 7}, 7)
    assert len(asked) == 1
    assert "step 2" in caplog.text
    assert "work goes on" in caplog.text
    run = member(store, "lonely")
    history = store[1].get_metric_history(run.info.run_id, "r")
    assert [point.step for point in history] == [1, 7]
    assert run.info.status == "FINISHED"


def test_a_member_that_starts_without_a_server_trains_untracked(tracker, monkeypatch, caplog):
    def down(*_, **__):
        raise MlflowException("connection refused")

    monkeypatch.setattr(MlflowClient, "create_run", down)
    with caplog.at_level(logging.WARNING), tracker.member("ghost", {}) as log:
        log({"r": 1}, 1)
    assert "member ghost" in caplog.text


def test_catalog_entry_gives_the_tracker_of_the_active_run(store):
    uri, _, experiment, _ = store
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        with mlflow.start_run(experiment_id=experiment) as run:
            tracker = TrackerDataset().load()
        assert (tracker.tracking_uri, tracker.parent_run_id) == (uri, run.info.run_id)
        assert isinstance(TrackerDataset().load(), NullTracker)
    finally:
        mlflow.set_tracking_uri(before)


def test_without_a_run_nothing_is_kept_and_nothing_breaks():
    with current_tracker().member("member_0", {"seed": 1}) as log:
        log({"r": 1.0}, 1)


def test_tracker_is_an_input_only():
    dataset = TrackerDataset()
    assert dataset.exists()
    with pytest.raises(DatasetError, match="only an input"):
        dataset.save(NullTracker())
