"""Requests by rows: what they mean, and what is said of those that mean nothing."""

import numpy as np
import pandas as pd
import pytest
from tiny_ensemble import bundle

from mgn_ma.eev.targets import EEV
from mgn_ma.extractors.base import END_OF_TIME_US
from mgn_ma.grid import grid_timestamps_us
from mgn_ma.inference.predictor import Predictor, TracksMismatchError
from mgn_ma.inference.requests import RequestError, RequestLimits, RequestTooLargeError, predict_tracks, video_inputs


@pytest.fixture(scope="module")
def predictor():
    return Predictor(bundle(), device="cpu")


def rows_of(video_id, tracks):
    """Tracks as a request has them: a row that holds for the whole video without times."""
    parts = []
    for modality, rows in tracks.items():
        whole = rows.ends_us == END_OF_TIME_US
        part = pd.DataFrame(
            {
                "video_id": video_id,
                "modality": modality,
                "timestamp_us": np.where(whole, None, rows.timestamps_us),
                "end_us": np.where(whole, None, rows.ends_us),
                "vector": rows.vectors.tolist(),
            }
        )
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def test_rows_of_several_videos_in_any_order_give_the_predictor_s_numbers(tiny, predictor):
    videos = ("-v0", "-v1", "-v3")
    rows = pd.concat([rows_of(video_id, tiny.tracks(video_id)) for video_id in videos])
    answer = predict_tracks(predictor, rows.sample(frac=1, random_state=1))
    assert set(answer["video_id"]) == set(videos)
    for video_id in videos:
        tracks = tiny.tracks(video_id)
        length = max(rows.ends_us.max() for rows in tracks.values() if rows.ends_us.max() < END_OF_TIME_US)
        expected = predictor.predict(video_id, tracks, grid_timestamps_us(int(length)))
        mine = answer[answer["video_id"] == video_id]
        np.testing.assert_array_equal(mine["timestamp_us"], expected.timestamps_us)
        np.testing.assert_allclose(mine[list(EEV.names)], expected.values, atol=1e-6)
        shares = mine[[f"attention_{name}" for name in predictor.bundle.modalities]]
        np.testing.assert_allclose(shares, expected.attention, atol=1e-6)


def test_contributions_are_there_when_asked_for(tiny, predictor):
    rows = rows_of("-v0", tiny.tracks("-v0"))
    plain, explained = (predict_tracks(predictor, rows, explain=explain) for explain in (False, True))
    columns = [f"contribution_{name}_awe" for name in predictor.bundle.modalities]
    assert not set(columns) & set(plain)
    assert list(explained)[: plain.shape[1]] == list(plain)
    np.testing.assert_allclose(explained[columns].sum(axis=1), plain["awe"] - plain["awe"].mean(), atol=1e-5)
    assert explained[columns].to_numpy().any()


def good():
    return pd.DataFrame(
        {
            "video_id": ["a", "a"],
            "modality": ["image", "image"],
            "timestamp_us": [0, 166_666],
            "end_us": [166_666, 333_333],
            "vector": [[0.0] * 6, [1] * 6],
        }
    )


def test_columns_that_say_nothing_new_may_be_left_out(predictor):
    answer = predict_tracks(predictor, good().drop(columns="video_id"))
    assert list(answer["video_id"]) == ["video", "video"]
    assert list(answer["timestamp_us"]) == [0, 166_666]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("modality", "smell", "there is no modality 'smell': the model reads image, audio, subtitle, title"),
        ("modality", None, "row 1 has no modality"),
        ("modality", "", "row 1 has no modality"),
        ("vector", None, "row 1 has no vector"),
        ("vector", "abc", "row 1: vector has to be a list of numbers, not 'abc'"),
        ("vector", [1, None, 2], "row 1: vector has to be a list of finite numbers"),
        ("vector", [[1.0]], "row 1: vector has to be a list of finite numbers"),
        ("vector", [], "row 1: vector has to be a list of finite numbers"),
        ("vector", 7, "row 1: vector has to be a list of finite numbers, not 7"),
        ("vector", [float("inf")] * 6, "row 1: vector has to be a list of finite numbers"),
        ("vector", [0.0] * 5, "row 1 has a vector of 5 numbers, rows before it of 6"),
        ("timestamp_us", -1, "row 1: timestamp_us has to be a whole number of microseconds"),
        ("timestamp_us", "soon", "row 1: timestamp_us has to be a whole number of microseconds in .*, not 'soon'"),
        ("end_us", 1.5, "row 1: end_us has to be a whole number"),
        ("end_us", 10**18, "row 1: end_us has to be a whole number"),
        ("end_us", True, "row 1: end_us has to be a whole number"),
        ("end_us", 166_666, "row 1 ends at 166666 us, which is not after its timestamp_us"),
    ],
)
def test_a_wrong_cell_is_named(predictor, column, value, message):
    rows = good().astype(object)
    rows.at[1, column] = value
    with pytest.raises(RequestError, match=message):
        predict_tracks(predictor, rows)


def test_a_request_that_is_no_request_says_what_one_is(predictor):
    with pytest.raises(RequestError, match="the column 'vector' is missing: it takes rows of tracks"):
        predict_tracks(predictor, good().drop(columns="vector"))
    with pytest.raises(RequestError, match="the request has no rows with a known column"):
        predict_tracks(predictor, good().head(0))
    with pytest.raises(RequestError, match="video a: no row has an end_us"):
        predict_tracks(predictor, good().drop(columns="end_us"))


def test_vectors_of_another_extractor_or_beyond_its_precision_are_refused(predictor):
    rows = good().assign(vector=[[0.0] * 7] * 2)
    with pytest.raises(TracksMismatchError, match="the image track has vectors of 7, the model was trained on 6"):
        predict_tracks(predictor, rows)
    with pytest.raises(TracksMismatchError, match="too large for float16"):
        predict_tracks(predictor, good().assign(vector=[[1e6] * 6] * 2))


def test_rows_of_videos():
    rows = pd.DataFrame({"video": ["a.mp4", "b.mp4"], "title": ["A", None], "captions": ["", "b.vtt"]})
    first, second = video_inputs(rows)
    assert (first.video_id, first.path, first.title, first.captions) == ("a.mp4", "a.mp4", "A", None)
    assert (second.video_id, second.title, second.captions) == ("b.mp4", None, "b.vtt")
    with pytest.raises(RequestError, match=r"rows 0 and 1 have the video_id 'a\.mp4'"):
        video_inputs(pd.DataFrame({"video": ["a.mp4", "a.mp4"]}))
    with pytest.raises(RequestError, match="row 1: title has to be text, not 5"):
        video_inputs(pd.DataFrame({"video": ["a", "b"], "title": ["A", 5]}))
    with pytest.raises(RequestError, match="row 1 has no video"):
        video_inputs(pd.DataFrame({"video": ["a", None]}))


@pytest.mark.parametrize(
    ("limit", "said"), [({"max_rows": 1}, "has 2 rows"), ({"max_seconds": 0.3}, "0 s long together")]
)
def test_a_request_beyond_the_limits_is_refused_before_anything_is_computed(predictor, limit, said):
    with pytest.raises(RequestTooLargeError, match=said):
        predict_tracks(predictor, good(), RequestLimits(**limit))
    assert len(predict_tracks(predictor, good(), RequestLimits(max_rows=2, max_seconds=0.34))) == 2
