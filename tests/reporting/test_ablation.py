"""The ablation's figure and Markdown show the tables' numbers, and nothing where a table has none."""

import numpy as np
import pandas as pd
import plotly.io as pio
import pytest

from mgn_ma.evaluation.ablation.tables import TABLE_COLUMNS
from mgn_ma.reporting.ablation import ablation_figure, ablation_markdown
from mgn_ma.reporting.errors import FigureError


@pytest.fixture
def tables():
    """The paper's table 2 in two rows, and another one of which the paper says nothing."""
    rows = [
        {"table": "table_2", "row": "MLP", "variant": "mlp", "paper_eev_test": 0.01529},
        {"table": "table_2", "row": "MoE <b>|", "variant": "moe", "paper_eev_test": 0.01718, "over": "mlp"},
        {"table": "number_of_experts", "row": "1 expert", "variant": "one", "over": "moe"},
    ]
    table = pd.DataFrame(rows, columns=list(TABLE_COLUMNS)).assign(seeds=5)
    for split, means in (("validation", [0.1, 0.2, 0.3]), ("test", [0.15, 0.25, 0.35])):
        table[split] = means
        table[f"{split}_low"], table[f"{split}_high"] = table[split] - 0.01, table[split] + 0.02
    table.loc[1, ["paper_step", "validation_step", "validation_step_low", "validation_step_high"]] = [
        *(0.00189, 0.1, 0.05, 0.15),
    ]
    return table


def test_the_figure_has_our_means_with_intervals_and_the_paper_s_beside_them(tables):
    figure = pio.from_json(ablation_figure(tables).to_json())
    ours = [trace for trace in figure.data if trace.name == "validation"]
    assert [list(trace.x) for trace in ours] == [[0.1, 0.2], [0.3]]
    assert np.allclose(ours[0].error_x.array, 0.02) and np.allclose(ours[0].error_x.arrayminus, 0.01)
    (paper,) = (trace for trace in figure.data if trace.name == "paper, EEV test")
    assert list(paper.x) == [0.01529, 0.01718]
    assert paper.xaxis != ours[0].xaxis, "scores on EEV and on other data share no axis"
    assert list(paper.y) == list(ours[0].y) == ["MLP", "MoE &lt;b&gt;|"]
    assert "5 seeds" in figure.layout.title.text


@pytest.mark.parametrize("no_bar", [np.nan, None])
def test_one_seed_is_a_point_without_a_bar(tables, no_bar):
    tables[["validation_low", "validation_high"]] = no_bar
    trace = next(trace for trace in ablation_figure(tables).data if trace.name == "validation")
    assert list(trace.error_x.array) == [0.0, 0.0]


def test_without_test_scores_no_test_is_drawn_or_written(tables):
    tables["test"] = np.nan
    assert {trace.name for trace in ablation_figure(tables).data} == {"validation", "paper, EEV test"}
    assert "test |" not in ablation_markdown(tables).replace("(EEV test) |", "")


def test_no_row_is_refused(tables):
    with pytest.raises(FigureError, match="no row"):
        ablation_figure(tables.iloc[:0])


def test_markdown_has_a_table_each_with_equal_columns(tables):
    text = ablation_markdown(tables)
    assert text.startswith("### table 2\n\n| ")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in lines} == {9}
    assert (
        r"| MoE <b>\| | 0.01718 | 0.200 (0.190 to 0.220) | 0.250 (0.240 to 0.270) | MLP | +0.00189 "
        "| +0.100 (+0.050 to +0.150) |  |"
    ) in lines
    # What a row is over need not be a row of the same table.
    assert lines[-1].startswith("| 1 expert |  | 0.300 (0.290 to 0.320) | 0.350 (0.340 to 0.370) | moe |  |")
