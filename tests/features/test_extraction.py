from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import pytest
from kedro.io import DatasetError

from mgn_ma.datasets.tracks import TracksDataset, TracksOnDiskDataset
from mgn_ma.execution import ExecutionConfig, Outcome, TimeLimitError, WorkerDiedError
from mgn_ma.extractors import registry
from mgn_ma.extractors.base import Clock, ExtractionError, Extractor, ExtractorConfig, Source, TrackRows
from mgn_ma.features import extraction
from mgn_ma.features.plan import ExtractionPlan, ExtractionSettings, make_plan, source_digest, sources
from mgn_ma.features.store import TrackStore
from mgn_ma.features.track import Track, TrackError, TrackFailure
from mgn_ma.features.view import ModalityOnDisk
from mgn_ma.media.errors import MediaError
from mgn_ma.media.source import VideoSource


class LengthsConfig(ExtractorConfig):
    ISOLATED: ClassVar[bool] = False  # it reads text, and other processes could not import it
    source: ClassVar[Source] = "video"

    name: Literal["lengths"] = "lengths"
    scale: float = 1.0
    raising: tuple[str, ...] = ()
    not_finite: tuple[str, ...] = ()


class LengthsExtractor(Extractor):
    """A stand-in: a row a second that holds the length of the id. The file says what is wrong with the video."""

    width = 3
    clock: ClassVar[Clock] = "grid"
    seen: ClassVar[list[str]] = []

    def __init__(self, config: LengthsConfig) -> None:
        self._config = config

    def extract(self, video: VideoSource) -> TrackRows:
        self.seen.append(video.video_id)
        assert video.video_path is not None
        content = Path(video.video_path).read_text()
        if content == "broken":
            raise ExtractionError("moov atom not found")
        if content == "cut":
            raise MediaError(video.video_path, "it ends in its middle")
        if content == "busy":
            raise ExtractionError("out of memory", transient=True)
        if content == "bug":
            raise ZeroDivisionError("a fault of ours")
        starts = np.arange(4, dtype=np.int64) * 1_000_000
        value = np.nan if content == "nan" else self._config.scale * len(video.video_id)
        return TrackRows(starts, starts + 1_000_000, np.full((4, 3), value, np.float32))


@pytest.fixture(autouse=True)
def _lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.EXTRACTORS, "lengths", (__name__, "Lengths"))
    members = {"Config": LengthsConfig, "Extractor": LengthsExtractor}
    original = registry._member
    monkeypatch.setattr(registry, "_member", lambda n, s: members[s] if n == "lengths" else original(n, s))
    LengthsExtractor.seen.clear()


HERE = ExecutionConfig()


class Data:
    """Videos that are text files, and the manifest, store and datasets that go with them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: dict[str, dict[str, Any]] = {}
        catalog: dict[str, Any] = {"path": str(folder / "04_feature"), "modality": "image"}
        self.tracks = TracksDataset(**catalog)
        self.on_disk = TracksOnDiskDataset(**catalog)

    def add(self, video_id: str, content: str = "fine", **changes: Any) -> None:
        path = self.folder / f"{video_id}.mp4"
        path.write_text(content)
        row = {"video_id": video_id, "split": "train", "status": "available", "reason": "", "path": str(path)}
        row |= {"digest": f"digest of {content}", "duration_us": 4_000_000, "fps": 25.0, "width": 64, "height": 48}
        row |= {"has_audio": True, "audio_duration_us": 4_000_000, "captions_path": None, "captions_digest": None}
        self.rows[video_id] = row | {"title": None, "n_frames": 24} | changes

    @property
    def manifest(self) -> pd.DataFrame:
        frame = pd.DataFrame(list(self.rows.values()))
        return frame.astype({"duration_us": "Int64", "width": "Int64", "height": "Int64"})

    def plan(self, config: ExtractorConfig | None = None, **settings: Any) -> ExtractionPlan:
        on_disk = self.on_disk.load()
        return make_plan(self.manifest, config or LengthsConfig(), on_disk, ExtractionSettings(**settings))

    def run(self, config: ExtractorConfig | None = None, **settings: Any) -> pd.DataFrame:
        plan = self.plan(config, **settings)
        self.keep(plan, extraction.extract(plan, HERE))
        return extraction.account(plan, self.tracks.load()).set_index("video_id")

    def keep(self, plan: ExtractionPlan, results: Iterable[Track | TrackFailure]) -> None:
        """As Kedro keeps what the node gives."""
        for item in itertools.chain([plan.selection], results):
            self.tracks.save(item)

    def file(self, video_id: str, suffix: str = ".arrow") -> Path:
        (found,) = (self.folder / "04_feature").rglob(f"{video_id}{suffix}")
        return found


@pytest.fixture
def data(tmp_path: Path) -> Data:
    made = Data(tmp_path)
    for video_id in ("-a", "bb", "ccc"):
        made.add(video_id)
    return made


def todo(plan: ExtractionPlan) -> list[str]:
    return [video.video_id for video in plan.todo]


def test_everything_is_computed_once_and_then_nothing(data: Data) -> None:
    first = data.run()
    assert first["status"].tolist() == ["present"] * 3
    assert set(first["reason"]) == {"computed in this run"}
    assert (first["seconds"] > 0).all()
    again = data.run()
    assert set(again["reason"]) == {"kept from an earlier run"}
    assert (again["seconds"] == 0).all()
    assert LengthsExtractor.seen == ["-a", "bb", "ccc"]
    view = data.tracks.load()
    assert [float(view.read(v).rows.vectors[0, 0]) for v in view] == [2.0, 2.0, 3.0]


def test_the_account_has_exactly_its_columns(data: Data) -> None:
    plan = data.plan()
    data.keep(plan, extraction.extract(plan, HERE))
    frame = extraction.account(plan, data.tracks.load())
    assert list(frame.columns) == ["video_id", "modality", "status", "reason", "seconds"]
    assert frame["video_id"].tolist() == ["-a", "bb", "ccc"]
    assert frame["seconds"].dtype == np.float64


def test_a_track_is_kept_before_the_next_is_made(data: Data) -> None:
    plan = data.plan()

    def die_after_two() -> Iterator[Track | TrackFailure]:
        for number, result in enumerate(extraction.extract(plan, HERE)):
            if number == 2:
                raise KeyboardInterrupt
            yield result

    with pytest.raises(KeyboardInterrupt):
        data.keep(plan, die_after_two())
    with pytest.raises(DatasetError, match="1 of 3 videos have neither"):
        data.tracks.load()
    assert not data.tracks.exists()
    assert todo(data.plan()) == ["ccc"]
    assert data.run()["reason"].tolist() == ["kept from an earlier run"] * 2 + ["computed in this run"]


def test_a_changed_file_is_extracted_anew(data: Data) -> None:
    data.run()
    data.add("bb", "fine, but longer")
    kept, computed = "kept from an earlier run", "computed in this run"
    assert data.run()["reason"].tolist() == [kept, computed, kept]


def test_another_extractor_has_tracks_of_its_own_and_the_first_keeps_its(data: Data) -> None:
    data.run()
    twice = LengthsConfig(scale=2.0)
    assert set(data.run(twice)["reason"]) == {"computed in this run"}
    assert float(data.tracks.load().read("ccc").rows.vectors[0, 0]) == 6.0
    assert set(data.run()["reason"]) == {"kept from an earlier run"}
    assert float(data.tracks.load().read("ccc").rows.vectors[0, 0]) == 3.0


def test_tracks_of_another_dtype_are_computed_again(data: Data) -> None:
    data.run()
    data.tracks = TracksDataset(path=str(data.folder / "04_feature"), modality="image", dtype="float32")
    data.on_disk = TracksOnDiskDataset(path=str(data.folder / "04_feature"), modality="image", dtype="float32")
    assert set(data.run()["reason"]) == {"computed in this run"}
    assert data.tracks.load().read("ccc").rows.vectors.dtype == np.float32


def test_a_broken_video_is_accounted_for_and_not_tried_again(data: Data) -> None:
    data.add("dddd", "broken")
    account = data.run()
    assert account.loc["dddd", ["status", "reason"]].tolist() == ["failed", "moov atom not found"]
    assert account["status"].tolist()[:3] == ["present"] * 3
    assert json.loads(data.file("dddd", ".failed.json").read_text())["transient"] is False
    LengthsExtractor.seen.clear()
    again = data.run()
    assert again.loc["dddd", ["status", "reason", "seconds"]].tolist() == ["failed", "moov atom not found", 0.0]
    assert LengthsExtractor.seen == []


def test_a_broken_video_is_tried_again_when_it_changed_or_when_told_to(data: Data) -> None:
    data.add("dddd", "broken")
    data.run()
    assert todo(data.plan(retry_failed=True)) == ["dddd"]
    assert todo(data.plan(LengthsConfig(scale=5.0))) == ["-a", "bb", "ccc", "dddd"]
    data.add("dddd", "fine")
    assert data.run().loc["dddd", "status"] == "present"
    assert not list(data.folder.rglob("*.failed.json"))


def test_what_media_says_of_a_file_is_the_reason_without_its_path(data: Data) -> None:
    data.add("dddd", "cut")
    assert data.run().loc["dddd", ["status", "reason"]].tolist() == ["failed", "it ends in its middle"]


def test_a_transient_failure_is_tried_again_by_itself(data: Data) -> None:
    data.add("dddd", "busy")
    assert data.run().loc["dddd", "reason"] == "out of memory"
    (data.folder / "dddd.mp4").write_text("fine")
    account = data.run()
    assert account.loc["dddd", ["status", "reason"]].tolist() == ["present", "computed in this run"]


def test_a_bug_costs_its_video_and_is_shouted_about(data: Data, caplog: pytest.LogCaptureFixture) -> None:
    data.add("b", "bug")
    account = data.run()
    assert account.loc["b", ["status", "reason"]].tolist() == ["failed", "ZeroDivisionError: a fault of ours"]
    assert account["status"].tolist().count("present") == 3
    assert any(r.levelno == logging.ERROR and r.exc_info for r in caplog.records)


def test_values_that_are_none_are_a_failure(data: Data) -> None:
    data.add("b", "nan")
    assert "not finite" in data.run().loc["b", "reason"]


@pytest.mark.parametrize(
    ("error", "reason", "transient"),
    [
        (WorkerDiedError("ended by SIGKILL"), "ended by SIGKILL", True),
        (TimeLimitError("took longer than 9 s"), "took longer than 9 s", True),
        (MemoryError(), "it needs more memory than a worker may have (memory_limit_gib)", True),
        (OSError("no space"), "OSError: no space", True),
        (MediaError("/videos/a.mp4", "it is cut"), "it is cut", False),
        (MediaError("/videos/a.mp4", "no such file", transient=True), "no such file", True),
        (TypeError("x"), "TypeError: x", False),
    ],
)
def test_what_says_nothing_of_the_file_is_transient(data: Data, error: Exception, reason: str, transient: bool) -> None:
    plan = data.plan()
    failure = extraction._of_outcome(plan.selection, Outcome(plan.todo[0], None, error, 1.5))
    assert isinstance(failure, TrackFailure)
    assert (failure.reason, failure.transient, failure.seconds) == (reason, transient, 1.5)


@pytest.mark.parametrize("keep", [0, 300])
def test_a_truncated_track_is_computed_again(data: Data, keep: int, caplog: pytest.LogCaptureFixture) -> None:
    data.run()
    path = data.file("bb")
    whole = path.read_bytes()
    path.write_bytes(whole[:keep])
    with caplog.at_level(logging.WARNING):
        account = data.run()
    assert account.loc["bb", "reason"] == "computed in this run"
    assert "bb.arrow" in caplog.text
    assert arrays(path) == arrays_of(whole)


def test_a_damaged_body_is_found_if_asked_for(data: Data) -> None:
    data.run()
    path = data.file("bb")
    content = bytearray(path.read_bytes())
    position = content.index(np.full(12, 2, np.float16).tobytes())
    content[position] ^= 0xFF
    path.write_bytes(content)
    assert todo(data.plan()) == []
    assert todo(data.plan(verify=True)) == ["bb"]


def arrays(path: Path) -> list[Any]:
    return arrays_of(path.read_bytes())


def arrays_of(content: bytes) -> list[Any]:
    import pyarrow as pa

    rows = pa.ipc.open_file(pa.BufferReader(content)).read_all()
    return list(rows.to_pydict().values())


def test_unavailable_and_lacking_videos_are_absent_with_a_reason(data: Data) -> None:
    data.add("gone", status="unavailable", reason="no file", path=None, digest=None)
    account = data.run()
    assert account.loc["gone", ["status", "reason"]].tolist() == ["absent", "the video is unavailable: no file"]
    assert account.loc["gone", "seconds"] == 0.0


@pytest.mark.parametrize(
    ("source", "changes", "digest"),
    [
        ("video", {}, "d"),
        ("audio", {}, None),
        ("audio", {"has_audio": True}, "d"),
        ("captions", {}, None),
        ("captions", {"captions_path": "c", "captions_digest": "e"}, "e"),
        ("title", {}, None),
        ("title", {"title": ""}, None),
    ],
)
def test_what_a_track_depends_on(source: Source, changes: dict[str, Any], digest: str | None) -> None:
    assert source_digest(VideoSource("v", "path", "d", **changes), source) == digest


def test_titles_have_the_digest_of_their_text() -> None:
    first, second = (source_digest(VideoSource("v", title=title), "title") for title in ("one", "two"))
    assert first != second
    assert first == source_digest(VideoSource("w", title="one"), "title")


def test_sources_of_a_manifest_that_went_through_parquet(data: Data, tmp_path: Path) -> None:
    data.add("gone", status="unavailable", reason="no file", path=None, digest=None, duration_us=None, has_audio=None)
    data.rows["bb"] |= {"has_audio": False, "title": "A title", "captions_path": "x.vtt", "captions_digest": "e"}
    data.manifest.to_parquet(tmp_path / "manifest.parquet")
    first, second, _ = sources(pd.read_parquet(tmp_path / "manifest.parquet"))
    assert first == VideoSource("-a", str(tmp_path / "-a.mp4"), "digest of fine", 4_000_000, has_audio=True)
    assert (second.has_audio, second.title, second.captions_path) == (False, "A title", "x.vtt")
    assert type(second.duration_us) is int


def test_videos_that_left_the_manifest_leave_the_view_and_not_the_disk(data: Data) -> None:
    data.run()
    del data.rows["bb"]
    data.run()
    assert list(data.tracks.load()) == ["-a", "ccc"]
    assert data.file("bb").exists()


def test_an_account_of_other_tracks_is_refused(data: Data) -> None:
    plan = data.plan()
    data.run(LengthsConfig(scale=2.0))
    with pytest.raises(TrackError, match="not those of this run's plan"):
        extraction.account(plan, data.tracks.load())


def test_tracks_that_never_were_say_what_to_run(data: Data) -> None:
    with pytest.raises(DatasetError, match="frame_features"):
        data.tracks.load()


def test_a_folder_refuses_the_tracks_of_another_modality(data: Data) -> None:
    other = TracksDataset(path=str(data.folder), modality="audio")
    with pytest.raises(DatasetError, match="image tracks don't belong to the audio folder"):
        other.save(data.plan().selection)
    with pytest.raises(ValueError, match="selection of image"):
        ModalityOnDisk(TrackStore(data.folder), "audio").view(data.plan().selection)


def test_no_videos_at_all_are_an_empty_account(data: Data) -> None:
    data.rows = {v: row | {"status": "unavailable", "reason": "no file"} for v, row in data.rows.items()}
    account = data.run()
    assert account["status"].tolist() == ["absent"] * 3
    assert list(data.tracks.load()) == []
