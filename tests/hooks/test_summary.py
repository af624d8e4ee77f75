"""What a run says of its stages and of its end."""

import logging

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline

from mgn_ma.hooks.summary import SummaryHooks, stage, summary


def double(x):
    return 2 * x


def test_a_stage_is_the_first_part_of_a_namespace_or_where_the_function_is_from():
    assert stage(Node(double, "a", "b", namespace="frame_features.image")) == "frame_features"
    assert stage(Node(double, "a", "b")) == double.__module__.rpartition(".")[2]


def test_a_stage_is_done_with_its_last_node(caplog):
    first, second = (Node(double, name, f"{name}2", namespace="training", name=name) for name in "ab")
    other = Node(double, "c", "d", namespace="evaluation")
    hooks = SummaryHooks()
    hooks.before_pipeline_run(Pipeline([first, second, other]), DataCatalog({"a": MemoryDataset(1)}))
    with caplog.at_level(logging.INFO):
        for node in (first, other):
            hooks.before_node_run(node)
        assert caplog.messages == []
        hooks.before_node_run(second)
        assert [message.partition(",")[0] for message in caplog.messages] == ["evaluation: done"]
        hooks.after_pipeline_run()
    assert [message.partition(",")[0] for message in caplog.messages] == ["evaluation: done", "training: done"]


@pytest.mark.parametrize(("env", "option"), [("sample", " --env sample"), (None, "")])
def test_the_summary_names_scores_beside_controls_and_the_next_commands(env, option):
    def row(score):
        return {"estimate": score, "low": score - 0.05, "high": score + 0.05, "n_videos": 8}

    report = {
        "validation": {
            "members": [0.31, None, 0.42],
            "intervals": {"oracle": row(0.8), "ensemble": row(0.4), "time_only": row(-0.1)}
            | {"shuffled": {"estimate": None, "low": None, "high": None, "n_videos": 8}},
        },
        "ensemble": "base",
        "holdout": {"intervals": {"ensemble": row(0.3)}},
        "test": None,
        "reactions": {"centred": {"score": 0.44, "fitted": {"all": {"lag_s": 1.1, "lag_interval": [0.9, 1.3]}}}},
    }
    lines = list(summary(report, "figures.html", env))
    assert lines[:9] == [
        "Correlation on 8 validation videos, with 95 % intervals over videos:",
        "  oracle            0.800  [0.750, 0.850]",
        "  ensemble          0.400  [0.350, 0.450]  members 0.310 to 0.420",
        "  time only        -0.100  [-0.150, -0.050]",
        "  shuffled labels   undefined",
        "On 8 hold-out videos, which chose nothing:",
        "  ensemble          0.300  [0.250, 0.350]",
        "Viewers react 1.1 s later [0.9, 1.3]; with that (ensembling.reaction: centred) the ensemble would have 0.440",
        "Figures: figures.html",
    ]
    assert lines[10].startswith(f"  kedro run{option} --pipelines promotion ")
    without = list(summary(report | {"holdout": None}, "figures.html", env))
    assert without == lines[:5] + lines[7:]


def test_an_ensemble_that_was_not_chosen_has_a_line_where_it_is_scored():
    def row(score):
        return {"estimate": score, "low": None, "high": None, "n_videos": 8}

    of_each = {"intervals": {"ensemble": row(0.4), "ensemble base": row(0.3), "ensemble late": row(0.4)}}
    none = {"score": 0.4, "fitted": {"all": {"lag_s": 0.0, "lag_interval": [None, None]}}}
    report = {
        "validation": {"members": []} | of_each,
        "ensemble": "late",
        "holdout": None,
        "test": of_each,
        "reactions": {"centred": none},
    }
    of_ensembles = [
        "  ensemble          0.400",
        "  other: base       0.300",
    ]
    lines = list(summary(report, None, None))
    undefined = {"score": None, "fitted": {"all": {"lag_s": 0.0, "lag_interval": [0.0, 0.0]}}}
    assert list(summary(report | {"reactions": {"centred": undefined}}, None, None)) == lines
    assert lines[1:3] == of_ensembles
    assert lines[3:6] == ["On 8 test videos, which chose nothing:", *of_ensembles]
