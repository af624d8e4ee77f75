"""A batch of new videos to tables and pages: what stands in them, and that a failure is told and not hidden."""

import json
import logging
import os
import re
import shutil
from dataclasses import replace
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import opentimelineio as otio
import pandas as pd
import pytest

from mgn_ma.execution import ExecutionConfig
from mgn_ma.inference.finding import find_videos
from mgn_ma.inference.moments import MomentsConfig
from mgn_ma.inference.videos import VideoPredictor
from mgn_ma.media.probe import probe
from mgn_ma.reporting.prediction import (
    PredictionError,
    PredictionSettings,
    check_account,
    predict_videos,
    write_tables,
)
from mgn_ma.reporting.prediction_page import PageSettings, caption_at

MOMENTS = MomentsConfig(min_height_sigmas=0.5, min_height=0.0, min_distance_us=0, smoothing_us=0)


def predict(bundle, videos, folder, **page):
    return predict_videos(
        bundle,
        find_videos([str(video) for video in videos]),
        PredictionSettings(moments=MOMENTS, page=PageSettings(**page)),
        execution=ExecutionConfig(),
        tracks=folder / ".tracks",
        pages=folder,
        model="mgn-ma version 3 (champion)",
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("predicted")


@pytest.fixture(scope="module")
def tables(bundle, films, folder):
    broken = folder / "broken.mp4"
    broken.write_bytes(b"no film")
    tables = predict(bundle, [films, broken], folder)
    write_tables(tables, folder)
    return tables


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL).group(1))


def test_tables_hold_the_predictors_numbers(tables, bundle, films, folder):
    videos = find_videos(str(films))
    for outcome in VideoPredictor(bundle).predict(videos, folder / ".tracks"):
        rows = tables.curves[tables.curves["video_id"] == outcome.video.video_id]
        np.testing.assert_array_equal(rows["timestamp_us"], outcome.prediction.timestamps_us)
        curves = rows[list(bundle.description.targets.names)].to_numpy()
        np.testing.assert_allclose(curves, outcome.prediction.values, atol=1e-6)
        contributions = tables.contributions[tables.contributions["video_id"] == outcome.video.video_id]
        for column, name in enumerate(bundle.description.targets.names):
            of_curve = contributions[[f"contribution_{modality}_{name}" for modality in bundle.modalities]]
            above = curves[:, column] - curves[:, column].mean()
            np.testing.assert_allclose(of_curve.sum(axis=1), above, atol=1e-5)
        shares = tables.attention[tables.attention["video_id"] == outcome.video.video_id][list(bundle.modalities)]
        np.testing.assert_allclose(shares.sum(axis=1), 1.0, atol=1e-5)
    back = pd.read_parquet(folder / "curves.parquet")
    pd.testing.assert_frame_equal(back, tables.curves)
    csv = pd.read_csv(folder / "curves.csv", dtype={"video_id": str})
    np.testing.assert_allclose(csv["awe"], back["awe"], rtol=1e-6)
    seconds = pd.read_csv(folder / "seconds.csv", dtype={"video_id": str})
    first = back[(back["video_id"] == back["video_id"][0]) & (back["timestamp_us"] < 1_000_000)]
    assert seconds["awe"][0] == pytest.approx(first["awe"].mean(), rel=1e-5)


def test_every_video_is_accounted_for(tables, films):
    account = tables.account.set_index("video_id")
    assert set(account.index) == {path.stem for path in films.glob("*.mp4")} | {"broken"}
    assert account.loc["broken", "status"] == "failed"
    assert "is no video file" in account.loc["broken", "reason"]
    predicted = account[account["status"] == "predicted"]
    assert predicted["seconds_of_video"].between(3.9, 4.6).all()
    assert (predicted["moments"] > 0).all()
    assert "not predicted: is no video file" in tables.index
    check_account(tables.account)


def test_moments_say_what_carried_them_and_what_was_said(tables, bundle, films):
    captions = {path.name.removesuffix(".en.vtt"): path.read_text() for path in films.glob("*.vtt")}
    contributions = tables.contributions.set_index(["video_id", "timestamp_us"])
    said = 0
    for video_id, moments in tables.moments["videos"].items():
        shares = tables.attention[tables.attention["video_id"] == video_id].set_index("timestamp_us")
        for moment in moments:
            at_peak = shares.loc[moment["peak_us"], list(bundle.modalities)].to_dict()
            assert moment["attention"] == pytest.approx(at_peak)
            contributed = contributions.loc[(video_id, moment["peak_us"])]
            assert moment["contributions"] == pytest.approx(
                {name: contributed[f"contribution_{name}_{moment['expression']}"] for name in bundle.modalities}
            )
            assert any(moment["contributions"].values())
            said += bool(moment["caption"])
            assert all(word in captions[video_id] for word in moment["caption"].split())
    assert said


def test_a_page_shows_the_moments_with_pictures_and_embeds_the_video(tables, folder):
    for video_id, moments in tables.moments["videos"].items():
        page = (folder / "pages" / f"{video_id}.html").read_text()
        assert 'src="data:video/mp4;base64,' in page
        assert 'href="../index.html"' in page
        assert "mgn-ma version 3 (champion)" in page
        shown = data_of(page)["moments"]
        assert [m["expression"] for m in shown] == [m["expression"] for m in moments]
        assert all(m["thumbnail"].startswith("data:image/jpeg;base64,/9j/") for m in shown)
        assert set(shown[0]["contributions"]) == {"picture", "sound", "captions", "whole video"}


def test_an_editors_program_finds_the_video_and_its_moments(tables, films, folder):
    for video_id, moments in tables.moments["videos"].items():
        (clip,) = otio.adapters.read_from_file(str(folder / "pages" / f"{video_id}.otio")).find_clips()
        assert url2pathname(urlsplit(clip.media_reference.target_url).path) == str(films / f"{video_id}.mp4")
        assert [marker.name for marker in clip.markers] == [moment["expression"] for moment in moments]
        assert clip.markers[0].marked_range.start_time.rate == probe(str(films / f"{video_id}.mp4")).fps
        assert (folder / "pages" / f"{video_id}.edl").read_text().count("* LOC:") == len(moments)


def test_without_the_extra_there_are_no_markers(bundle, films, tmp_path, monkeypatch):
    monkeypatch.setattr("mgn_ma.reporting.exports.find_spec", lambda name: None)
    predict(bundle, [min(films.glob("*.mp4"))], tmp_path)
    assert {path.suffix for path in (tmp_path / "pages").iterdir()} == {".html", ".vtt"}


def test_a_large_video_is_copied_or_linked(bundle, films, tmp_path):
    film = next(films.glob("*.mp4"))
    odd = tmp_path / "a 'film' #1.mp4"
    shutil.copy(film, odd)
    predict(bundle, [odd], tmp_path / "copied", embed_up_to_mib=0)
    (page,) = (tmp_path / "copied" / "pages").glob("*.html")
    (copy,) = (tmp_path / "copied" / "pages").glob("*.mp4")
    assert copy.read_bytes() == film.read_bytes()
    assert f'src="{copy.name}"' in page.read_text()
    inode = copy.stat().st_ino
    predict(bundle, [odd], tmp_path / "copied", embed_up_to_mib=0)
    assert copy.stat().st_ino == inode
    predict(bundle, [odd], tmp_path / "linked", embed_up_to_mib=0, beside="link")
    (page,) = (tmp_path / "linked" / "pages").glob("*.html")
    assert 'src="../../a%20%27film%27%20%231.mp4"' in page.read_text()
    assert not list((tmp_path / "linked" / "pages").glob("*.mp4"))


@pytest.mark.parametrize(
    ("bounds", "shown"),
    [({"low": 0.1, "high": 0.15}, "0.123 (95 %: 0.100 to 0.150)"), ({"low": None, "high": None}, "0.123")],
)
def test_a_page_says_how_good_the_model_is(bundle, films, tables, folder, tmp_path, bounds, shown):
    # No bounds: there was one video.
    scores = {"validation": 0.1234, "interval": bounds, "holdout": {"estimate": 0.1234, **bounds}}
    known = {"scores": scores, "trained_on": "films of <nobody>"}
    scored = replace(bundle, description=bundle.description.model_copy(update=known))
    (tmp_path / ".tracks").symlink_to(folder / ".tracks")
    predict(scored, [next(films.glob("*.mp4"))], tmp_path)
    (page,) = (tmp_path / "pages").glob("*.html")
    for videos in ("its validation videos", "hold-out videos, which chose nothing"):
        assert f"<dt>Correlation on {videos}</dt><dd>{shown}</dd>" in page.read_text()
    assert "<dt>Trained on</dt><dd>films of &lt;nobody&gt;</dd>" in page.read_text()


def test_without_pages_there_is_an_index_without_links(bundle, films, folder, tmp_path):
    (tmp_path / ".tracks").symlink_to(folder / ".tracks")
    tables = predict(bundle, [films], tmp_path, write=False)
    assert not (tmp_path / "pages").exists()
    assert "href" not in tables.index
    assert (tables.account["page"] == "").all()


def test_names_that_are_no_text_and_hostile_ones_are_written_all_the_same(bundle, films, tmp_path, caplog):
    film = next(films.glob("*.mp4"))
    names = [b"two\nlines.mp4", b"no \xff utf-8.mp4", b"<script>alert(1)<.mp4"]
    for name in names:
        shutil.copy(film, tmp_path / os.fsdecode(name))
    with caplog.at_level(logging.INFO):
        tables = predict(bundle, [tmp_path], tmp_path / "out")
    write_tables(tables, tmp_path / "out")
    assert set(tables.account["video_id"]) == {"two?lines", "no ? utf-8", "<script>alert(1)<"}
    assert (tables.account["status"] == "predicted").all()
    assert len(pd.read_csv(tmp_path / "out" / "account.csv")) == 3
    assert "<script>alert" not in (tmp_path / "out" / "index.html").read_text()
    assert len(list((tmp_path / "out" / "pages").glob("*.html"))) == 3


def test_a_batch_of_which_nothing_is_predicted_is_an_error(bundle, tmp_path):
    tables = predict(bundle, [tmp_path / "gone.mp4"], tmp_path)
    write_tables(tables, tmp_path)
    assert len(pd.read_parquet(tmp_path / "curves.parquet")) == 0
    with pytest.raises(PredictionError, match=r"not one of 1 videos .*gone\.mp4: no such file"):
        check_account(tables.account)


def test_a_caption_holds_until_its_end():
    captions = [(0, 10, "one"), (10, 20, "two")]
    assert [caption_at(captions, t) for t in (0, 9, 10, 20)] == ["one", "one", "two", ""]
