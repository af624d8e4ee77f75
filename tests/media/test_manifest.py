from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from media_clips import Clip, sine

from mgn_ma.media.digest import digest
from mgn_ma.media.folder import MediaFolder
from mgn_ma.media.inspection import ListedVideo, VideoRow, inspect_video
from mgn_ma.media.manifest import ManifestConfig, SplitError, build_manifest, exclusions, videos_digest

CONFIG = ManifestConfig()


def frames(**seconds: float) -> pd.DataFrame:
    """A frame table at 6 Hz: video id -> seconds."""
    tables = [
        pd.DataFrame({"video_id": video_id, "timestamp_us": np.arange(round(length * 6)) * 1_000_000 // 6})
        for video_id, length in seconds.items()
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame({"video_id": [], "timestamp_us": []})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Clip(n_frames=20, rate=10, audio=sine(2, 440)).write(tmp_path / "good.mp4")
    (tmp_path / "good.en.vtt").write_text("WEBVTT\n\n00:00.000 --> 00:01.000\nhi\n")
    (tmp_path / "good.info.json").write_text('{"title": "A good one"}')
    Clip(n_frames=20, rate=10, size=(48, 64)).write(tmp_path / "mute.mkv")
    (tmp_path / "mute.info.json").write_text("{broken")
    (tmp_path / "text.mp4").write_text("not a video")
    return tmp_path


def build(folder: Path, **splits: pd.DataFrame) -> pd.DataFrame:
    return build_manifest(splits, MediaFolder(str(folder)), CONFIG, in_any_order)


def in_any_order(videos: Sequence[ListedVideo]) -> list[VideoRow]:
    return [inspect_video(video) for video in reversed(videos)]


def test_a_row_a_video_in_the_order_of_the_annotations(folder: Path) -> None:
    manifest = build(folder, train=frames(mute=2, text=1, good=2), validation=frames(gone=1))
    assert manifest["video_id"].tolist() == ["mute", "text", "good", "gone"]
    assert manifest["split"].tolist() == ["train", "train", "train", "validation"]
    assert manifest["status"].tolist() == ["available", "unavailable", "available", "unavailable"]
    assert manifest["n_frames"].tolist() == [12, 6, 12, 6]
    good = manifest.set_index("video_id").loc["good"]
    assert good["path"] == str(folder / "good.mp4")
    assert good["digest"] == digest(str(folder / "good.mp4"))
    assert (good["duration_us"], good["fps"], good["width"], good["height"]) == (2_000_000, 10.0, 64, 48)
    assert (good["has_audio"], good["title"], good["reason"], good["note"]) == (True, "A good one", "", "")
    assert good["captions_path"] == str(folder / "good.en.vtt")
    assert good["captions_digest"] == digest(str(folder / "good.en.vtt"))
    mute = manifest.set_index("video_id").loc["mute"]
    assert (mute["has_audio"], mute["audio_duration_us"]) == (False, 0)
    assert mute[["captions_path", "captions_digest", "captions_origin", "title"]].isna().all()
    assert "mute.info.json: is no JSON" in mute["note"]


def test_reasons_and_exclusions(folder: Path) -> None:
    manifest = build(folder, train=frames(good=1, text=1), test=frames(gone=2))
    excluded = exclusions(manifest)
    assert excluded.columns.tolist() == ["video_id", "split", "reason", "n_frames"]
    assert excluded["video_id"].tolist() == ["text", "gone"]
    assert excluded["n_frames"].tolist() == [6, 12]
    assert "is no video file" in excluded["reason"][0]
    assert "no file gone" in excluded["reason"][1]


def test_frames_after_the_end_are_counted(folder: Path) -> None:
    manifest = build(folder, train=frames(good=3.5, mute=2, gone=9))
    assert manifest["n_frames_past_end"].tolist() == [9, 0, 0]


def test_types_survive_parquet(folder: Path, tmp_path: Path) -> None:
    manifest = build(folder, train=frames(gone=1, good=1))
    manifest.to_parquet(tmp_path / "manifest.parquet")
    read = pd.read_parquet(tmp_path / "manifest.parquet")
    pd.testing.assert_frame_equal(read, manifest, check_dtype=False)
    assert read["duration_us"].dtype == "Int64"
    assert read["has_audio"].dtype == bool
    assert pd.isna(read["duration_us"][0])
    assert read["path"][0] is None or pd.isna(read["path"][0])


def test_captions_of_sounds_are_counted_and_are_no_captions_where_nobody_speaks(folder: Path) -> None:
    music = "WEBVTT\n\n00:00.000 --> 00:01.000\n[Music]\n"
    (folder / "good.en.vtt").write_text(f"{music}\n00:01.000 --> 00:02.000\nhi\n")
    (folder / "mute.en.vtt").write_text(music)
    good, mute = build(folder, train=frames(good=1, mute=1)).to_dict("records")
    assert good["note"] == "1 of 2 captions say what is heard, such as [Music], and are no speech"
    assert good["captions_path"] == str(folder / "good.en.vtt")
    assert "without captions" in mute["note"] and "holds no speech" in mute["note"]
    assert pd.isna(mute["captions_path"]) and pd.isna(mute["captions_digest"]) and pd.isna(mute["captions_origin"])


@pytest.mark.parametrize(
    ("files", "info", "chosen", "origin"),
    [
        (["en.vtt"], {}, "en.vtt", "unknown"),
        (["vtt"], {"subtitles": {"en": []}}, "vtt", "unknown"),
        (["en-orig.vtt"], {}, "en-orig.vtt", "automatic"),
        (["en.vtt"], {"automatic_captions": {"en": []}}, "en.vtt", "automatic"),
        (["en.vtt"], {"subtitles": {"en": []}, "automatic_captions": {"en": []}}, "en.vtt", "uploaded"),
        (["en.vtt", "en-GB.vtt"], {"subtitles": {"en-GB": []}}, "en-GB.vtt", "uploaded"),
    ],
)  # fmt: skip
def test_which_captions_are_taken_and_who_made_them(
    folder: Path, files: list[str], info: dict[str, object], chosen: str, origin: str
) -> None:
    (folder / "good.en.vtt").unlink()
    for name in files:
        (folder / f"good.{name}").write_text("WEBVTT\n\n00:00.000 --> 00:01.000\nhi\n")
    (folder / "good.info.json").write_text(json.dumps(info))
    (row,) = build(folder, train=frames(good=1)).to_dict("records")
    assert (row["captions_path"], row["captions_origin"]) == (str(folder / f"good.{chosen}"), origin)


def test_words_with_times_tell_automatic_captions_of_a_name_that_both_kinds_have(folder: Path) -> None:
    (folder / "good.en.vtt").write_text("WEBVTT\n\n00:00.000 --> 00:01.000\nhi<00:00:00.500><c> you</c>\n")
    (folder / "good.info.json").write_text('{"subtitles": {"en": []}}')
    (row,) = build(folder, train=frames(good=1)).to_dict("records")
    assert row["captions_origin"] == "automatic"


def test_a_video_in_two_splits_is_refused(folder: Path) -> None:
    with pytest.raises(SplitError, match=r"'good' is annotated in both train and test"):
        build(folder, train=frames(good=1), test=frames(good=1))


def test_no_video_at_all_is_refused(folder: Path) -> None:
    with pytest.raises(SplitError, match=r"not one of the 2 annotated videos.*: a: no file a"):
        build(folder, train=frames(a=1, b=1))


def test_a_cut_file_is_used_and_noted(folder: Path) -> None:
    clip = Clip(n_frames=100, rate=10, options={"g": "5"}, container_options={"movflags": "faststart"})
    whole = clip.write(folder / "whole.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    manifest = build(folder, train=frames(cut=10))
    assert manifest["status"].tolist() == ["available"]
    assert "cut short" in manifest["note"][0]
    assert 0 < manifest["n_frames_past_end"][0] < 60


def test_what_a_hostile_file_provokes_concerns_it_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mgn_ma.media import inspection as module

    def probe(path: str) -> object:
        if "mute" in path:
            raise OverflowError("int too big")
        return real(path)

    real = module.probe
    monkeypatch.setattr(module, "probe", probe)
    manifest = build(folder, train=frames(mute=1, good=1))
    assert manifest["status"].tolist() == ["unavailable", "available"]
    assert manifest["reason"][0] == "can't be read: OverflowError: int too big"


def test_the_digest_changes_with_what_tracks_depend_on(folder: Path) -> None:
    before = videos_digest(build(folder, train=frames(good=1, gone=1)))
    assert videos_digest(build(folder, train=frames(good=2, gone=1))) == before
    (folder / "good.en.vtt").write_text("WEBVTT\n\n00:00.000 --> 00:01.000\nother\n")
    assert videos_digest(build(folder, train=frames(good=1, gone=1))) != before
