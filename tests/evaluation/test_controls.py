from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mgn_ma.eev.correlation import video_correlations
from mgn_ma.eev.targets import EEV, Targets
from mgn_ma.evaluation.controls import TimeOnlyBaseline, TimeOnlyConfig
from mgn_ma.evaluation.errors import EvaluationError


def course(seconds):
    return 0.3 + 0.1 * np.exp(-seconds / 5)


def labels_with(make_frames, make_table, lengths, level_of_video, noise=0.0):
    frames = make_frames(lengths)
    random = np.random.default_rng(0)
    levels = frames["video_id"].map(level_of_video).to_numpy()
    values = course(frames["timestamp_us"].to_numpy() / 1e6) + levels
    values = values[:, None] * np.linspace(0.5, 1, 15) + noise * random.normal(size=(len(frames), 15))
    return make_table(frames, values)


def test_finds_the_course_of_labels_over_time(make_frames, make_table):
    lengths = (60, 120, 200, 90)
    labels = labels_with(make_frames, make_table, lengths, lambda video_id: 0.0)
    baseline = TimeOnlyBaseline.learn(labels, EEV, TimeOnlyConfig(bin_seconds=0.5, smoothing_seconds=0))
    seconds = np.arange(0, 30, 1 / 6)
    predicted = baseline.predict((seconds * 1e6).astype(np.int64))
    np.testing.assert_allclose(predicted[:, 14], course(seconds), atol=0.01)
    np.testing.assert_allclose(predicted[:, 0], 0.5 * course(seconds), atol=0.01)


def test_the_level_of_the_few_long_videos_is_no_course_over_time(make_frames, make_table):
    # Short videos are at a high level: a plain mean over videos would fall by 0.3 where they end.
    lengths = (60, 60, 60, 240, 240)
    labels = labels_with(make_frames, make_table, lengths, lambda video_id: 0.3 if video_id < "v3" else 0.0)
    baseline = TimeOnlyBaseline.learn(labels, EEV, TimeOnlyConfig(bin_seconds=0.5, smoothing_seconds=0))
    before, after = baseline.predict(np.array([9_000_000, 11_000_000]))[:, 14]
    assert before - after == pytest.approx(course(9) - course(11), abs=0.004)


def test_smoothing_takes_noise_out(make_frames, make_table):
    lengths = (180,) * 6
    labels = labels_with(make_frames, make_table, lengths, lambda video_id: 0.0, noise=0.1)
    times = np.arange(180, dtype=np.int64) * 1_000_000 // 6
    errors = []
    for smoothing in (0, 1.5):
        predicted = TimeOnlyBaseline.learn(labels, EEV, TimeOnlyConfig(smoothing_seconds=smoothing)).predict(times)[
            :, 14
        ]
        errors.append(np.abs(predicted - course(times / 1e6)).mean())
    assert errors[1] < 0.6 * errors[0]


def test_scores_by_time_where_labels_follow_it_and_not_where_they_do_not(make_frames, make_table):
    labels = labels_with(make_frames, make_table, (120,) * 8, lambda video_id: 0.0, noise=0.01)
    frames = make_frames((120,) * 8)
    noise = make_table(frames, np.random.default_rng(1).random((len(frames), 15)))
    offsets = np.arange(0, 961, 120)
    for table, least, most in ((labels, 0.85, 1.0), (noise, -0.1, 0.1)):
        seen, unseen = table[:480], table[480:]
        predicted = TimeOnlyBaseline.learn(seen, EEV, TimeOnlyConfig()).predict(unseen["timestamp_us"].to_numpy())
        truth = unseen[list(EEV.names)].to_numpy()
        assert least <= np.nanmean(video_correlations(predicted, truth, offsets[:5]).r) <= most


def test_rows_without_a_face_are_not_labels(make_frames, make_table):
    labels = labels_with(make_frames, make_table, (60, 60), lambda video_id: 0.0)
    with_gap = labels.copy()
    with_gap.loc[10:20, list(EEV.names)] = 0
    config = TimeOnlyConfig(bin_seconds=0.5, smoothing_seconds=0)
    times = np.array([2_500_000])
    expected = TimeOnlyBaseline.learn(labels, EEV, config).predict(times)
    np.testing.assert_allclose(TimeOnlyBaseline.learn(with_gap, EEV, config).predict(times), expected, atol=0.01)
    labels[list(EEV.names)] = 0
    with pytest.raises(EvaluationError, match="no row has labels"):
        TimeOnlyBaseline.learn(labels, EEV, config)


def test_gaps_are_bridged_and_the_end_is_held(make_frames, make_table):
    labels = labels_with(make_frames, make_table, (60,), lambda video_id: 0.0)
    gap = pd.concat([labels[:20], labels[40:]])
    baseline = TimeOnlyBaseline.learn(gap, EEV, TimeOnlyConfig(bin_seconds=0.5, smoothing_seconds=0))
    curve = baseline.predict(np.array([3_000_000, 5_000_000, 7_000_000, 10**9, 10**12]))[:, 14]
    assert curve[0] > curve[1] > curve[2] > curve[3] == curve[4]
    assert np.isfinite(curve).all()


def test_the_baseline_stays_in_the_targets_range_and_takes_zeros_for_values_where_they_are(make_frames, make_table):
    frames = make_frames((60, 60))
    times = frames["timestamp_us"].to_numpy()
    values = np.where(times < 5_000_000, 0.0, -0.9)[:, None] * np.ones(15)
    affect = Targets(minimum=-0.8, zero_rows_mean_no_face=False)
    config = TimeOnlyConfig(smoothing_seconds=0)
    predicted = TimeOnlyBaseline.learn(make_table(frames, values), affect, config).predict(times[:60])
    assert predicted.min() == np.float32(-0.8)
    np.testing.assert_allclose(predicted[2], 0, atol=1e-6)
    early = TimeOnlyBaseline.learn(make_table(frames, values), Targets(minimum=-0.8), config).predict(times[:1])
    np.testing.assert_allclose(early, -0.8, err_msg="zeros are no labels")
