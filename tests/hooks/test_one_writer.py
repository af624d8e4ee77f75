"""Which runs are refused while another goes on, and whose versions a run reads."""

from types import SimpleNamespace

import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline

from mgn_ma.hooks.one_writer import ClockError, OneWriterHooks
from mgn_ma.run_lock import BusyError

SCORE = {"type": "json.JSONDataset", "versioned": True}


def same(value):
    return value


TRAIN = Pipeline([Node(same, "labels", "score"), Node(same, "score", "shown")])


@pytest.fixture
def begin(tmp_path):
    """Begins a run of a pipeline; gives its hooks and its catalog."""

    def begin(pipeline, version):
        entries = {"score": SCORE, "labels": {"type": "json.JSONDataset"}, "curves": {"type": "json.JSONDataset"}}
        entries = {name: {**entry, "filepath": str(tmp_path / f"{name}.json")} for name, entry in entries.items()}
        catalog = DataCatalog.from_config(entries, save_version=version)
        hooks = OneWriterHooks()
        loader = {"globals": {"data": "data"}}
        hooks.after_context_created(SimpleNamespace(project_path=tmp_path, config_loader=loader))
        hooks.before_pipeline_run(run_params={"env": "sample"}, pipeline=pipeline, catalog=catalog)
        return hooks, catalog

    return begin


def test_a_run_is_refused_while_another_writes_the_same_and_not_after_it(begin):
    first, _ = begin(TRAIN, "2026-01-01T00.00.00.000Z")
    reads = Pipeline([Node(same, "score", "curves")])
    for pipeline in (TRAIN, reads):
        with pytest.raises(BusyError, match=r"`kedro run --env sample`, begun 0 min ago\) works with score"):
            begin(pipeline, "2026-01-01T00.00.01.000Z")
    # What stays in memory is each run's own, and two may read one thing.
    begin(Pipeline([Node(same, "labels", "shown")]), "2026-01-01T00.00.01.000Z")
    first.on_pipeline_error()
    begin(TRAIN, "2026-01-01T00.00.02.000Z")[0].after_pipeline_run()
    begin(TRAIN, "2026-01-01T00.00.03.000Z")


def test_a_run_loads_the_version_that_it_saved_although_there_is_a_newer_one(begin):
    hooks, catalog = begin(TRAIN, "2026-01-01T00.00.00.000Z")
    catalog.save("score", {"run": "own"})
    hooks.after_dataset_saved("score")
    hooks.after_pipeline_run()
    _, other = begin(TRAIN, "2026-01-02T00.00.00.000Z")
    other.save("score", {"run": "newer"})
    catalog.release("score")
    assert catalog.load("score") == {"run": "own"}
    assert other.load("score") == {"run": "newer"}


def test_a_run_before_the_newest_version_is_refused_until_the_clock_is_right(begin, tmp_path):
    hooks, catalog = begin(TRAIN, "2026-01-02T00.00.00.000Z")
    catalog.save("score", 1)
    hooks.after_pipeline_run()
    with pytest.raises(
        ClockError, match=r"score\.json: its newest version, 2026-01-02.*later than this run, 2026-01-01"
    ):
        begin(TRAIN, "2026-01-01T00.00.00.000Z")
    begin(Pipeline([Node(same, "score", "curves")]), "2026-01-01T00.00.00.000Z")[0].after_pipeline_run()
    begin(TRAIN, "2026-01-03T00.00.00.000Z")


def test_what_killed_runs_left_half_written_is_removed_before_the_first_node(begin, tmp_path):
    left = tmp_path / "data" / "08_reporting" / f".scores.json.{'0' * 32}.tmp"
    left.parent.mkdir(parents=True)
    left.write_text("{")
    begin(TRAIN, "2026-01-01T00.00.00.000Z")[0].after_pipeline_run()
    assert not left.exists()
