"""The model_input pipeline: what is packed, what is left out, and that it holds to the account."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kedro.io import DataCatalog, DatasetError, MemoryDataset
from kedro.runner import SequentialRunner

from mgn_ma.datasets.packed_split import PackedSplitDataset
from mgn_ma.eev.targets import EEV
from mgn_ma.extractors.base import END_OF_TIME_US, START_OF_TIME_US, TrackRows
from mgn_ma.features.plan import ExtractionSettings
from mgn_ma.features.store import TrackStore
from mgn_ma.features.track import Selection, Track, TrackError, TrackHeader
from mgn_ma.pipelines.model_input import create_pipeline


def add_video_tracks(extracted: Any) -> None:
    """A video vector for every video that has an image track."""
    store = TrackStore(extracted.root)
    wanted = dict.fromkeys(extracted.view("image"), "digest")
    store.select(Selection("video", "v" * 64, wanted))
    for number, video_id in enumerate(wanted):
        whole = TrackRows(np.array([START_OF_TIME_US]), np.array([END_OF_TIME_US]), np.full((1, 2), number, np.float32))
        store.write(Track(TrackHeader(video_id, "video", "whole", "v" * 64, "digest"), whole))


def make_catalog(extracted: Any, tmp_path: Path) -> DataCatalog:
    names = ("image", "audio", "action", "subtitle", "title", "video")
    return DataCatalog(
        {
            **{f"labels_{split}": MemoryDataset(table) for split, table in extracted.labels.items()},
            **{f"{name}.tracks": MemoryDataset(extracted.view(name), copy_mode="assign") for name in names},
            **{f"{split}_input": PackedSplitDataset(filepath=str(tmp_path / split)) for split in extracted.labels},
            **{f"annotations_digest_{split}": MemoryDataset("digest") for split in extracted.labels},
            "data_fingerprint": MemoryDataset(extracted.data_fingerprint),
            "manifest": MemoryDataset(extracted.manifest),
            "extraction_account": MemoryDataset(extracted.account),
            "params:modalities": MemoryDataset(extracted.modalities),
            "params:extraction": MemoryDataset(ExtractionSettings()),
            "model_input_folder": MemoryDataset(str(tmp_path)),
            "params:targets": MemoryDataset(EEV),
        }
    )


def test_splits_are_packed_with_the_videos_that_have_tracks(
    extracted: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    add_video_tracks(extracted)
    catalog = make_catalog(extracted, tmp_path)
    with caplog.at_level(logging.INFO):
        SequentialRunner().run(create_pipeline(), catalog)
    train, validation, test = (catalog.load(f"{split}_input") for split in ("train", "validation", "test"))
    assert list(train.video_ids) == [f"-train{i}" for i in range(6)]
    assert "train: 1 videos without any track are left out" in caplog.text
    assert list(train.modalities) == ["image", "audio", "action", "subtitle", "video"]
    assert train.modalities["subtitle"].tolerance_us == 5_000_000
    assert train.modalities["video"].clock == "whole"
    second = slice(train.offsets[1], train.offsets[2])
    assert (train.index[second, 1] == -1).all(), "the silent video has no audio anywhere"
    assert (train.index[second, 4] == 1).all(), "one video vector serves all its frames"
    assert (validation.index[validation.offsets[1] : validation.offsets[2], 2] == -1).all(), "its action failed"
    assert validation.labels is not None and test.labels is None
    holdout = catalog.load("holdout_input")
    assert holdout.video_ids == ("-holdout0",) and holdout.labels is None, "nothing that learns may see its labels"
    assert test.n_frames == len(extracted.labels["test"])


def test_tracks_that_are_not_those_of_the_account_are_refused(extracted: Any, tmp_path: Path) -> None:
    add_video_tracks(extracted)
    rows = (extracted.account["video_id"] == "-train3") & (extracted.account["modality"] == "audio")
    extracted.account.loc[rows, "status"] = "failed"
    with pytest.raises(TrackError, match=r"disagree about 1 videos.*-train3"):
        SequentialRunner().run(create_pipeline(), make_catalog(extracted, tmp_path))


def test_a_modality_without_any_track_is_left_out(
    extracted: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    add_video_tracks(extracted)
    extracted.manifest["captions_path"] = ""
    TrackStore(extracted.root).select(Selection("subtitle", extracted.view("subtitle").fingerprint, {}))
    extracted.account = extracted.account[extracted.account["modality"] != "subtitle"]
    catalog = make_catalog(extracted, tmp_path)
    SequentialRunner().run(create_pipeline(), catalog)
    assert list(catalog.load("train_input").modalities) == ["image", "audio", "action", "video"]
    assert "No video has a subtitle track" in caplog.text


def test_a_split_without_any_track_stops_the_run(extracted: Any, tmp_path: Path) -> None:
    add_video_tracks(extracted)
    extracted.labels["test"]["video_id"] = "unknown"
    with pytest.raises(TrackError, match="no video of the test split has any track"):
        SequentialRunner().run(create_pipeline(), make_catalog(extracted, tmp_path))


def test_a_hold_out_of_no_video_is_packed(extracted: Any, tmp_path: Path) -> None:
    extracted.labels["holdout"] = extracted.labels["holdout"].iloc[:0]
    add_video_tracks(extracted)
    catalog = make_catalog(extracted, tmp_path)
    SequentialRunner().run(create_pipeline(), catalog)
    assert catalog.load("holdout_input").n_frames == 0
    assert list(catalog.load("holdout_input").modalities) == list(catalog.load("train_input").modalities)


def test_training_waits_for_the_account() -> None:
    assert all("extraction_account" in node.inputs for node in create_pipeline().nodes)


def test_the_dataset_refuses_a_split_that_was_packed_elsewhere(extracted: Any, tmp_path: Path) -> None:
    add_video_tracks(extracted)
    catalog = make_catalog(extracted, tmp_path)
    SequentialRunner().run(create_pipeline(), catalog)
    with pytest.raises(DatasetError, match="the catalog expects it in"):
        PackedSplitDataset(filepath=str(tmp_path / "elsewhere")).save(catalog.load("train_input"))


def test_the_dataset_says_what_to_run_and_refuses_a_url(tmp_path: Path) -> None:
    dataset = PackedSplitDataset(filepath=str(tmp_path / "none"))
    assert not dataset.exists()
    with pytest.raises(DatasetError, match="run the pipeline model_input first"):
        dataset.load()
    with pytest.raises(DatasetError, match="belongs on a local disk"):
        PackedSplitDataset(filepath="s3://bucket/train")
