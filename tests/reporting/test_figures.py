"""Figures show the numbers of the tables, and say in words what they leave out."""

import json
from dataclasses import asdict

import numpy as np
import plotly.io as pio
import pytest

from mgn_ma.eev.correlation import video_correlations
from mgn_ma.eev.targets import EEV, Targets
from mgn_ma.reporting.attention import attention_figure
from mgn_ma.reporting.correlations import expression_correlation_figure
from mgn_ma.reporting.curves import curves_figure
from mgn_ma.reporting.errors import FigureError
from mgn_ma.reporting.example import ExampleVideo, choose_video
from mgn_ma.reporting.learning_curves import learning_curves_figure, video_level_curves_figure


def trace(figure, name, **where):
    found = [t for t in figure.data if t.name == name and all(getattr(t, k) == v for k, v in where.items())]
    assert found, [t.name for t in figure.data]
    return found[0]


def test_every_figure_survives_its_file(curves, evaluation, predictions, labels, attention):
    video = choose_video(predictions, labels)
    for figure in (
        learning_curves_figure(curves),
        expression_correlation_figure(evaluation),
        curves_figure(predictions, labels, video, EEV),
        attention_figure(attention, video.video_id),
    ):
        again = pio.from_json(figure.to_json())
        assert again.to_plotly_json().keys() == figure.to_plotly_json().keys()
        assert again.layout.title.text
        assert len(figure.to_json()) < 400_000


class TestLearningCurves:
    def test_star_marks_the_best_epoch_of_each_member(self, curves):
        stars = [t for t in learning_curves_figure(curves).data if t.marker.symbol == "star" and t.x[0] is not None]
        assert {t.name: (t.x[0], t.y[0]) for t in stars} == {"member_0": (3, 0.3), "member_1": (2, 0.4)}

    def test_epochs_are_drawn_in_order(self, curves):
        figure = learning_curves_figure(curves.iloc[::-1])
        line = trace(figure, "member_1", yaxis="y")
        assert list(line.x) == [1, 2, 3]
        assert list(line.y) == [0.7, 0.5, 0.3]

    def test_member_without_any_score_is_drawn_without_star(self, curves):
        curves.loc[curves["member"] == "member_0", "validation_correlation"] = np.nan
        figure = learning_curves_figure(curves)
        stars = [t.name for t in figure.data if t.marker.symbol == "star"]
        assert stars == ["member_1", "best epoch"]

    def test_control_is_not_counted_among_the_members(self, curves):
        figure = learning_curves_figure(curves)
        assert "2 members" in figure.layout.title.text
        assert trace(figure, "shuffled (control)").line.dash == "dot"

    def test_a_table_of_another_shape_is_refused_by_name(self, curves):
        with pytest.raises(FigureError, match="validation_correlation"):
            learning_curves_figure(curves.drop(columns="validation_correlation"))
        with pytest.raises(FigureError, match="no row"):
            learning_curves_figure(curves.iloc[:0])


class TestVideoLevelCurves:
    def test_networks_are_drawn_as_members_are(self, curves):
        figure = video_level_curves_figure(curves)
        assert "2 networks" in figure.layout.title.text
        assert figure.layout.yaxis2.title.text == "correlation over validation videos"
        assert list(trace(figure, "member_1", yaxis="y").y) == [0.7, 0.5, 0.3]

    def test_without_a_network_the_figure_is_empty(self, curves):
        figure = video_level_curves_figure(curves.iloc[:0])
        assert "0 networks" in figure.layout.title.text
        assert [t.name for t in figure.data] == ["best epoch"]


class TestExpressionCorrelation:
    def test_best_expression_is_on_top_and_intervals_are_distances(self, evaluation):
        figure = expression_correlation_figure(evaluation)
        ensemble = trace(figure, "ensemble, 95 %")
        assert ensemble.y[-1] == EEV.names[-1]
        assert list(figure.layout.yaxis.categoryarray) == list(EEV.names)
        assert np.allclose(ensemble.error_x.array, 0.03)
        assert np.allclose(ensemble.error_x.arrayminus, 0.02)
        assert len(trace(figure, "members").x) == 30

    def test_what_is_not_known_is_not_drawn(self, evaluation):
        expressions = {
            name: {"ensemble": row["ensemble"]} for name, row in evaluation["validation"]["expressions"].items()
        }
        expressions["pain"] = {"ensemble": None, "interval": None, "members": [None], "oracle": None}
        figure = expression_correlation_figure({"validation": {"ensemble": None, "expressions": expressions}})
        assert [t.name for t in figure.data] == ["ensemble, 95 %"]
        assert "pain" not in figure.data[0].y
        assert figure.layout.yaxis.categoryarray[0] == "pain"


class TestExampleVideo:
    def test_the_median_is_chosen(self, predictions, labels):
        video = choose_video(predictions, labels)
        assert (video.video_id, video.rank, video.of_videos) == ("middle", 2, 3)

    def test_of_an_even_number_the_better_middle_one(self, predictions, labels):
        assert choose_video(predictions, labels[labels["video_id"] != "middle"]).video_id == "good"

    def test_a_wish_is_granted_or_refused_with_the_parameter_s_name(self, predictions, labels):
        assert choose_video(predictions, labels, "-bad").correlation == pytest.approx(-1)
        with pytest.raises(FigureError, match=r"reporting\.video_id: 'of_test'.*good"):
            choose_video(predictions, labels, "of_test")

    def test_nothing_to_choose_from(self, predictions, labels):
        with pytest.raises(FigureError, match="predictions"):
            choose_video(predictions[predictions["video_id"] == "of_test"], labels)

    def test_without_any_score_the_first_is_chosen(self, predictions, labels):
        labels[list(EEV.names)] = 0.5
        assert choose_video(predictions, labels).video_id == "-bad"
        assert choose_video(predictions, labels, "good").rank is None

    @pytest.mark.parametrize("has_score", [True, False])
    def test_its_report_has_no_nan_and_comes_back(self, predictions, labels, has_score):
        if not has_score:
            labels.loc[labels["video_id"] == "good", list(EEV.names)] = 0.5
        video = choose_video(predictions, labels, "good")
        report = json.dumps(asdict(video), allow_nan=False)
        assert (video.correlation is not None) == has_score
        assert ExampleVideo(**json.loads(report)) == video


class TestCurves:
    def test_panels_show_the_video_s_own_numbers(self, predictions, labels):
        video = choose_video(predictions, labels, "middle")
        figure = curves_figure(predictions, labels, video, EEV)
        truth = [t for t in figure.data if t.name == "labels"]
        predicted = [t for t in figure.data if t.name == "ensemble"]
        own = labels["video_id"] == "middle"
        assert len(truth) == len(predicted) == 15
        for index, name in enumerate(EEV.names):
            assert np.array_equal(truth[index].y, labels.loc[own, name])
            assert np.array_equal(predicted[index].y, predictions.loc[predictions["video_id"] == "middle", name])
        assert truth[0].x[6] == pytest.approx(1.0)
        assert sum(t.showlegend for t in figure.data) == 2

    def test_titles_give_each_panel_s_correlation(self, predictions, labels):
        labels.loc[labels["video_id"] == "middle", "pain"] = 0.1
        figure = curves_figure(predictions, labels, choose_video(predictions, labels, "middle"), EEV)
        titles = [a.text for a in figure.layout.annotations]
        own = labels["video_id"] == "middle"
        r = video_correlations(
            predictions.loc[predictions["video_id"] == "middle", list(EEV.names)].to_numpy(),
            labels.loc[own, list(EEV.names)].to_numpy(),
            np.array([0, 40]),
        ).r[0]
        assert titles[0] == f"amusement  r = {r[0]:.2f}"
        assert titles[EEV.names.index("pain")] == "pain  (labels never change)"

    def test_frames_without_a_prediction_are_left_out(self, predictions, labels):
        some = predictions.drop(predictions.index[predictions["video_id"] == "middle"][::2])
        figure = curves_figure(some, labels, ExampleVideo("middle", 0.5, 2, 3), EEV)
        assert len(figure.data[0].x) == len(figure.data[1].y) == 20

    @pytest.mark.parametrize(("n_targets", "n_rows"), [(1, 1), (3, 1), (4, 2)])
    def test_any_number_of_targets_in_any_range(self, predictions, labels, n_targets, n_rows):
        targets = Targets(names=EEV.names[:n_targets], minimum=-1, maximum=0.5)
        figure = curves_figure(predictions, labels, ExampleVideo("middle", 0.5, 2, 3), targets)
        assert len([t for t in figure.data if t.name == "ensemble"]) == n_targets
        assert len({axis.domain for axis in figure.select_yaxes()}) == n_rows
        assert "value (-1..0.5)" in {axis.title.text for axis in figure.select_yaxes()}
        # Zero is no end of the range, so it need not be seen.
        assert {axis.rangemode for axis in figure.select_yaxes()} == {"normal"}

    def test_no_common_frame(self, predictions, labels):
        with pytest.raises(FigureError, match="of_test"):
            curves_figure(predictions, labels, ExampleVideo("of_test", 0.5, 1, 1), EEV)


class TestAttention:
    def test_mean_over_members_in_percent_and_absent_modalities_named(self, attention):
        figure = attention_figure(attention, "good")
        assert [t.name for t in figure.data] == ["image", "audio"]
        assert figure.data[0].y[0] == pytest.approx(100 * 0.3)  # without the control's 0.0
        assert np.allclose(np.sum([t.y for t in figure.data], axis=0), 100)
        assert "mean of 2 members; this video has no subtitle" in figure.layout.title.text

    def test_a_member_that_does_not_read_a_modality_gives_it_no_share(self, attention):
        one = attention["member"] == "member_1"
        attention.loc[one, "audio"], attention.loc[one, "image"] = np.nan, 1.0
        figure = attention_figure(attention, "good")
        assert figure.data[0].y[0] == pytest.approx(100 * (0.2 + 1) / 2)
        assert np.allclose(np.sum([t.y for t in figure.data], axis=0), 100)

    def test_unknown_video(self, attention):
        with pytest.raises(FigureError, match="nobody"):
            attention_figure(attention, "nobody")


HOSTILE = "<script>alert(1)</script><b>b</b> & \u202etxt"


def test_hostile_names_stay_text(curves, attention, predictions, labels):
    curves["member"] = HOSTILE
    renamed = attention.rename(columns={"image": HOSTILE, "subtitle": "<i>s"})
    renamed["video_id"] = HOSTILE
    labels["video_id"] = predictions["video_id"] = HOSTILE
    one = labels.iloc[:40]
    for figure in (
        learning_curves_figure(curves),
        attention_figure(renamed, HOSTILE),
        curves_figure(one, one, ExampleVideo(HOSTILE, 0.5, 1, 1), EEV),
    ):
        texts = [figure.layout.title.text, *(t.name for t in figure.data)]
        joined = " ".join(texts).replace("<br><sup>", "").replace("</sup>", "")
        assert "<" not in joined
        assert "\u202e" not in joined
        assert "&lt;script&gt;" in joined
