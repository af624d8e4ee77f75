"""Two cuts of a rendered film and two models of one film, compared from the files to the results."""

import base64
import dataclasses
import json
import re

import numpy as np
import pandas as pd
import pytest
from recut import recut

from mgn_ma.eev.targets import Targets
from mgn_ma.execution import ExecutionConfig
from mgn_ma.inference.bundle import Bundle
from mgn_ma.inference.finding import find_videos
from mgn_ma.inference.videos import VideoInput, VideoPredictor, VideoSettings
from mgn_ma.media.probe import probe
from mgn_ma.reporting.comparison import ComparisonError, compare_predictions

HOSTILE = "=</script><script>alert(1)</script>"


def compare(models, videos, output):
    return compare_predictions(models, videos, VideoSettings(), ExecutionConfig(), output)


@pytest.fixture(scope="module")
def film(films):
    return min(films.glob("*.mp4"))


@pytest.fixture(scope="module")
def two_cuts(bundle, film, tmp_path_factory):
    """A film, and the same without what is from 1 s to 2.2 s; the folder with the results."""
    folder = tmp_path_factory.mktemp("two cuts")
    cut = recut(folder / "cut.mp4", [(film, 0, 1.0), (film, 2.2, 99)])
    videos = [VideoInput("first", str(film)), VideoInput(HOSTILE, str(cut))]
    compare([(bundle, "the model")], videos, folder)
    return folder


def test_the_table_holds_the_curves_that_are_predicted_for_each_alone(bundle, film, two_cuts):
    table = pd.read_csv(two_cuts / "differences.csv")
    videos = [VideoInput("a", str(film)), VideoInput("b", str(two_cuts / "cut.mp4"))]
    for outcome in VideoPredictor(bundle).predict(videos):
        prediction, column = outcome.prediction, outcome.video.video_id
        time = f"{column}_timestamp_us"
        rows = table[table[column].notna()]
        curves = rows.pivot_table(index=time, columns="expression", values=column)[
            list(bundle.description.targets.names)
        ]
        if column == "a":
            np.testing.assert_array_equal(curves.index, prediction.timestamps_us)
        for name, values in zip(bundle.description.targets.names, prediction.values.T, strict=True):
            expected = np.interp(curves.index, prediction.timestamps_us, values)
            np.testing.assert_allclose(curves[name], expected, atol=1e-6)
    both = table[table["in"] == "both"]
    np.testing.assert_allclose(both["difference"], both["b"] - both["a"], atol=1e-6)
    assert (both["low"] <= both["difference"]).all() and (both["difference"] <= both["high"]).all()
    only_a = table[table["in"] == "A"]
    assert only_a["a_timestamp_us"].between(1_000_000, 2_199_999).all()
    assert only_a[["b", "b_timestamp_us", "difference", "low", "high"]].isna().all(axis=None)


def test_the_summary_says_what_is_where_and_how_far_the_means_are_apart(bundle, film, two_cuts):
    summary = json.loads((two_cuts / "comparison.json").read_text())
    assert [tuple(passage.values()) for passage in summary["passages"][:2]] == [
        (0, 1_000_000, 0, 1_000_000),
        (1_000_000, 2_200_000, 1_000_000, 1_000_000),
    ]
    assert (summary["a"]["members"], summary["b"]["video_id"]) == (2, HOSTILE)
    assert summary["exact_us"] == round(1e6 / probe(str(film)).fps)
    table = pd.read_csv(two_cuts / "differences.csv")
    means = table[table["in"] == "both"].groupby("expression")["difference"].mean()
    for name in bundle.description.targets.names:
        found = summary["expressions"][name]
        assert found["shared"]["difference"] == pytest.approx(means[name], abs=1e-6)
        assert found["whole"]["difference"] == pytest.approx(found["b_mean"] - found["a_mean"])
        assert found["whole"]["low"] < found["whole"]["difference"] < found["whole"]["high"]


def test_the_page_loads_nothing_and_shows_names_as_text(two_cuts):
    page = (two_cuts / "comparison.html").read_text()
    assert "<script>alert" not in page and page.count("</script>") == 2
    assert "http:" not in page and "https:" not in page
    assert "only in A: 0:01.00 to 0:02.20" in page


def test_two_models_on_one_film_are_compared_frame_by_frame(bundle, film, tmp_path):
    recipe = bundle.description.recipe.model_copy(update={"weights": (0.25, 0.75)})
    description = bundle.description.model_copy(update={"recipe": recipe})
    other = dataclasses.replace(bundle, description=description)
    passages = compare([(bundle, "one"), (other, "two")], find_videos(str(film)), tmp_path)
    assert len(passages) == 1
    (outcome,) = VideoPredictor(bundle).predict(find_videos(str(film)))
    # The one is 0.75 x + 0.25 y and the other 0.25 x + 0.75 y.
    x, y = outcome.prediction.members
    table = pd.read_csv(tmp_path / "differences.csv")
    assert (table["in"] == "both").all() and (table["a_timestamp_us"] == table["b_timestamp_us"]).all()
    np.testing.assert_allclose(table["difference"].to_numpy(), ((y - x) / 2).ravel(), atol=1e-5)
    page = (tmp_path / "comparison.html").read_text()
    assert page.count("<video ") == 1 and "the 2 and 2 members" in page and "what both have" not in page
    # With two members an interval is wider than all values can be: the page has its width all the same.
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL).group(1))
    margins = np.frombuffer(base64.b64decode(data["curves"]["pain"]["margin"]), "<u2") / 65535 * data["widest"]
    of_pain = table[table["expression"] == "pain"]
    assert (of_pain["high"] - of_pain["low"]).max() > 2
    np.testing.assert_allclose(margins, (of_pain["high"] - of_pain["low"]) / 2, atol=1e-4)


def test_what_is_odd_about_a_side_is_told(bundle, film, two_cuts, tmp_path):
    captions = tmp_path / "gone.vtt"
    videos = [VideoInput("a", str(film), str(captions)), VideoInput("b", str(two_cuts / "cut.mp4"))]
    compare([(bundle, "the model")], videos, tmp_path)
    summary, page = json.loads((tmp_path / "comparison.json").read_text()), (tmp_path / "comparison.html").read_text()
    assert "gone.vtt" in summary["a"]["notes"] and summary["b"]["notes"] == ""
    assert "Note on A" in page and "Note on B" not in page
    assert summary["b"]["without"].startswith("sound (the video has no audio)") and "B predicted without" in page


def test_one_member_has_no_interval_and_the_page_says_so(bundle, film, tmp_path):
    recipe = bundle.description.recipe.model_copy(update={"members": ("member_1",), "weights": (1.0,)})
    single = dataclasses.replace(
        bundle,
        description=bundle.description.model_copy(update={"recipe": recipe}),
        members={"member_1": bundle.members["member_1"]},
    )
    compare([(bundle, "five"), (single, "one")], find_videos(str(film)), tmp_path)
    table = pd.read_csv(tmp_path / "differences.csv")
    assert table[["low", "high"]].isna().all(axis=None) and table["difference"].notna().all()
    assert "There are no intervals" in (tmp_path / "comparison.html").read_text()
    assert json.loads((tmp_path / "comparison.json").read_text())["expressions"]["awe"]["whole"]["low"] is None


def test_what_can_not_be_compared_is_said_in_words(bundle, film, tmp_path):
    gone = [VideoInput("a", str(film)), VideoInput("b", str(tmp_path / "gone.mp4"))]
    with pytest.raises(ComparisonError, match=r"gone\.mp4: can't be predicted: .*no such file"):
        compare([(bundle, "model")], gone, tmp_path)
    targets = Targets(names=("valence", "arousal"), minimum=-1, maximum=1)
    other = dataclasses.replace(bundle)
    object.__setattr__(other, "description", bundle.description.model_copy(update={"targets": targets}))
    with pytest.raises(
        ComparisonError, match=r"^one predicts amusement, .* in 0\.\.1, and two valence, arousal in -1\.\.1"
    ):
        compare([(bundle, "one"), (other, "two")], find_videos(str(film)), tmp_path)
    assert not list(tmp_path.glob("*.html"))


def test_a_model_that_nobody_has_validated_is_called_so(bundle, film, tmp_path):
    class Unvalidated(Bundle):
        caution = "not validated"

    other = Unvalidated(bundle.description, bundle.members, bundle.video_network)
    compare([(bundle, "one"), (other, "other")], [VideoInput("film", str(film))], tmp_path)
    page = (tmp_path / "comparison.html").read_text()
    assert "<dt>B is</dt><dd>not validated</dd>" in page
    assert "<dt>A is</dt>" not in page
    summary = json.loads((tmp_path / "comparison.json").read_text())
    assert (summary["a"]["caution"], summary["b"]["caution"]) == ("", "not validated")
