"""The video_features pipeline: vectors of every video, by networks that are trained once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from mgn_ma.datasets.checkpoints import CheckpointsDataset
from mgn_ma.datasets.packed_split import PackedSplitDataset
from mgn_ma.datasets.tracks import TracksDataset, TracksOnDiskDataset
from mgn_ma.datasets.training_states import TrainingStatesDataset
from mgn_ma.eev.targets import EEV
from mgn_ma.features.plan import ExtractionSettings, make_plan
from mgn_ma.features.settings import Modalities
from mgn_ma.features.store import TrackStore
from mgn_ma.features.track import Selection, Track, TrackError
from mgn_ma.features.view import TrackView
from mgn_ma.pipelines import model_input
from mgn_ma.pipelines.video_features import create_pipeline
from mgn_ma.pipelines.video_features.nodes import embed_videos
from mgn_ma.tracking.tracker import NullTracker
from mgn_ma.training.errors import TrainingError
from mgn_ma.training.video_level import VideoLevelSettings

NAMES = ("image", "audio", "action", "subtitle", "title", "video")
LEARNED = ["video_features.train_video_level_networks", "video_features.embed_videos"]


def settings(**changes: Any) -> VideoLevelSettings:
    architecture = {"clusters": {"image": 2, "audio": 2}, "tower_width": 8, "hidden": 8, "modality_dropout": 0.0}
    return VideoLevelSettings.model_validate(
        {"items": 12, "folds": 3, "epochs": 25, "learning_rate": 2e-2, "batch_size": 4, "architecture": architecture}
        | changes
    )


def run(extracted: Any, tmp_path: Path, video_level: VideoLevelSettings) -> DataCatalog:
    catalog = DataCatalog(
        {
            "labels_train": MemoryDataset(extracted.labels["train"]),
            "labels_validation": MemoryDataset(extracted.labels["validation"]),
            "tracker": MemoryDataset(NullTracker()),
            **{f"{name}.tracks": MemoryDataset(extracted.view(name), copy_mode="assign") for name in
               ("image", "audio", "title")},
            "extraction_account": MemoryDataset(extracted.account),
            "params:modalities": MemoryDataset(extracted.modalities),
            "params:video_level": MemoryDataset(video_level),
            "params:targets": MemoryDataset(EEV),
            "params:training.all_zero_rows": MemoryDataset("left_out"),
            "training_states": TrainingStatesDataset(filepath=str(tmp_path / "states")),
            "video_level_networks": CheckpointsDataset(filepath=str(tmp_path / "networks")),
            "video.tracks": TracksDataset(path=str(extracted.root), modality="video"),
            "video.tracks_on_disk": TracksOnDiskDataset(path=str(extracted.root), modality="video"),
        }
    )  # fmt: skip
    SequentialRunner().run(create_pipeline().only_nodes(*LEARNED), catalog)
    return catalog


def by_video(view: TrackView) -> dict[str, np.ndarray]:
    return {video_id: view.read(video_id).rows.vectors[0].astype(np.float32) for video_id in view}


def test_every_video_with_a_track_gets_one_vector_that_knows_its_theme(extracted: Any, tmp_path: Path) -> None:
    catalog = run(extracted, tmp_path, settings())
    view = catalog.load("video.tracks")
    assert view.clock == "whole" and view.width == 8
    vectors = by_video(view)
    assert "-train6" not in vectors, "the unavailable video has nothing to make a vector from"
    assert len(vectors) == 12
    themes = {video_id: int(video_id[-1]) % 2 for video_id in vectors}
    train = [v for v in vectors if "train" in v]
    centroids = [np.mean([vectors[v] for v in train if themes[v] == theme], axis=0) for theme in (0, 1)]
    for video_id in vectors.keys() - set(train):
        nearest = int(np.argmin([np.linalg.norm(vectors[video_id] - centroid) for centroid in centroids]))
        assert nearest == themes[video_id], video_id
    networks = catalog.load("video_level_networks")
    assert list(networks) == ["full", "fold_1", "fold_2", "fold_3"]
    assert networks["full"].inputs["image"].fingerprint == extracted.view("image").fingerprint
    curves = catalog.load("video_level_learning_curves")
    assert curves.groupby("member", sort=False).size().to_dict() == dict.fromkeys(networks, 25)
    for name, of_network in curves.groupby("member"):
        best = of_network.loc[of_network["validation_correlation"].idxmax()]
        kept = networks[name].description.training
        assert (kept["epoch"], kept["validation_correlation"]) == (best["epoch"], best["validation_correlation"])


def test_a_second_run_computes_nothing_and_other_settings_everything(extracted: Any, tmp_path: Path) -> None:
    first = run(extracted, tmp_path, settings(epochs=2)).load("video.tracks")
    files = {path: path.stat().st_mtime_ns for path in extracted.root.rglob("video/**/*.arrow")}
    again = run(extracted, tmp_path, settings(epochs=2)).load("video.tracks")
    assert again.fingerprint == first.fingerprint
    assert {path: path.stat().st_mtime_ns for path in extracted.root.rglob("video/**/*.arrow")} == files
    other = run(extracted, tmp_path, settings(epochs=3)).load("video.tracks")
    assert other.fingerprint != first.fingerprint
    assert len(other) == 12


def test_a_modality_that_no_video_has_is_done_without(
    extracted: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    extracted.view("title").store.select(extracted.view("title").selection.__class__("title", "t" * 64, {}))
    extracted.account = extracted.account[extracted.account["modality"] != "title"]
    view = run(extracted, tmp_path, settings(epochs=1)).load("video.tracks")
    assert len(view) == 12
    assert "No video has a title track" in caplog.text


def test_an_unknown_modality_is_refused(extracted: Any) -> None:
    views = [extracted.view(name) for name in ("image", "audio", "title")]
    with pytest.raises(TrainingError, match="video_level can't read 'smell', only image, audio, title"):
        list(embed_videos({}, extracted.modalities, settings(single=["smell"]), extracted.on_disk("video"), *views))


def test_networks_wait_for_the_account_of_what_they_read(extracted: Any, tmp_path: Path) -> None:
    rows = (extracted.account["video_id"] == "-train3") & (extracted.account["modality"] == "image")
    extracted.account.loc[rows, "status"] = "failed"
    with pytest.raises(TrackError, match="disagree about 1 videos"):
        run(extracted, tmp_path, settings(epochs=1))


def test_an_absent_video_modality_has_no_vectors(extracted: Any) -> None:
    modalities = Modalities.model_validate({**extracted.modalities.model_dump(), "video": None})
    views = [extracted.view(name) for name in ("image", "audio", "title")]
    given = list(embed_videos({}, modalities, settings(), extracted.on_disk("video"), *views))
    assert given == [Selection("video", "", {})]


def test_the_pipeline_ends_the_extraction_with_its_account() -> None:
    pipeline = create_pipeline()
    assert {"title.tracks", "video_level_networks", "video.tracks", "extraction_account"} <= pipeline.all_outputs()
    (account,) = [node for node in pipeline.nodes if "extraction_account" in node.outputs]
    assert set(account.inputs) == {f"{name}.account" for name in ("image", "audio", "action", "subtitle", "title")}


def pack(extracted: Any, folder: Path) -> DataCatalog:
    """The model_input pipeline on what is on disk now."""
    catalog = DataCatalog(
        {
            **{f"labels_{split}": MemoryDataset(table) for split, table in extracted.labels.items()},
            **{f"{name}.tracks": MemoryDataset(extracted.view(name), copy_mode="assign") for name in NAMES},
            **{f"{split}_input": PackedSplitDataset(filepath=str(folder / split)) for split in extracted.labels},
            **{f"annotations_digest_{split}": MemoryDataset("digest") for split in extracted.labels},
            "data_fingerprint": MemoryDataset(extracted.data_fingerprint),
            "manifest": MemoryDataset(extracted.manifest),
            "extraction_account": MemoryDataset(extracted.account),
            "params:modalities": MemoryDataset(extracted.modalities),
            "params:extraction": MemoryDataset(ExtractionSettings()),
            "params:targets": MemoryDataset(EEV),
            "model_input_folder": MemoryDataset(str(folder)),
        }
    )
    SequentialRunner().run(model_input.create_pipeline(), catalog)
    return catalog


def extract_anew(extracted: Any, modality: str) -> None:
    """As the extraction of a modality does by the manifest and the parameters that there are now."""
    view, store = extracted.view(modality), TrackStore(extracted.root)
    config = extracted.modalities.config(modality)
    selection = make_plan(extracted.manifest, config, extracted.on_disk(modality), ExtractionSettings()).selection
    store.select(selection)
    for video_id in view:
        track = view.read(video_id)
        digest = selection.wanted[video_id]
        header = replace(track.header, fingerprint=selection.fingerprint, source_digest=digest)
        store.write(Track(header, track.rows))


def another_image_extractor(extracted: Any) -> None:
    extracted.settings["image"]["settings"] = {"image_descriptor": {"size": 32}}
    extract_anew(extracted, "image")


def another_title(extracted: Any) -> None:
    extracted.manifest.loc[extracted.manifest["video_id"] == "-validation1", "title"] = "another"
    extract_anew(extracted, "title")


def another_label(extracted: Any) -> None:
    labels = extracted.labels["train"]
    labels.loc[labels.index[5], "anger"] = 0.9


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (another_image_extractor, "the video track of .* was not made from the image track that is there now"),
        (another_title, "the video track of -validation1 was not made from the title track that is there now"),
        (another_label, "the video tracks were learned from other labels than there are now"),
    ],
)
def test_a_mixture_is_refused_until_the_vectors_are_made_anew(
    extracted: Any, tmp_path: Path, change: Callable[[Any], None], reason: str
) -> None:
    run(extracted, tmp_path, settings(epochs=1))
    before = pack(extracted, tmp_path / "05").load("train_input").modalities["video"]
    change(extracted)
    with pytest.raises(TrackError, match=f"{reason}: run the pipeline video_features before model_input"):
        pack(extracted, tmp_path / "05")
    run(extracted, tmp_path, settings(epochs=1))
    after = pack(extracted, tmp_path / "05").load("train_input").modalities["video"]
    # A title of a validation video is nothing that networks learn from.
    assert (after.fingerprint == before.fingerprint) == (change is another_title)


def test_networks_embed_only_what_they_were_trained_on(extracted: Any, tmp_path: Path) -> None:
    catalog = run(extracted, tmp_path, settings(epochs=1))
    another_image_extractor(extracted)
    catalog["image.tracks"] = MemoryDataset(extracted.view("image"), copy_mode="assign")
    with pytest.raises(TrainingError, match=r"were trained on other image tracks .*: run the pipeline video_features"):
        SequentialRunner().run(create_pipeline().only_nodes(LEARNED[1]), catalog)
