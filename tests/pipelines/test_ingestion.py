"""The ingestion pipeline on the catalog that the project configures, over raw files that the tests write."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog, DatasetError, MemoryDataset
from kedro.runner import SequentialRunner

from mgn_ma.datasets.media_folder import MediaFolderDataset
from mgn_ma.eev.annotations import AnnotationError
from mgn_ma.eev.targets import EEV
from mgn_ma.execution import ExecutionConfig
from mgn_ma.media.errors import MediaError
from mgn_ma.media.folder import MediaFolder, local_folder
from mgn_ma.media.manifest import SplitError
from mgn_ma.pipelines.ingestion import create_pipeline
from mgn_ma.pipelines.ingestion.nodes import IngestionConfig

ROOT = Path(__file__).parents[2]


def load_clips() -> Any:
    """The clip builders of the media tests."""
    spec = importlib.util.spec_from_file_location("media_clips", ROOT / "tests" / "media" / "media_clips.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault("media_clips", module)
    spec.loader.exec_module(module)
    return module


clips = load_clips()


def annotations(id_column: str = "YouTube ID", labelled: bool = True, **seconds: int) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for video_id, length in seconds.items():
        for k in range(length * 6):
            rows.append({id_column: video_id, "Timestamp (milliseconds)": k * 1_000_000 // 6})
            if labelled:
                rows[-1] |= {name: (k + i) % 10 / 10 for i, name in enumerate(EEV.names)}
    return pd.DataFrame(rows)


class Project:
    """A data folder and the project's own catalog over it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.raw = folder / "data" / "01_raw"
        (self.raw / "annotations").mkdir(parents=True)
        (self.raw / "videos").mkdir()
        conf = folder / "conf" / "base"
        conf.mkdir(parents=True)
        for name in ("ingestion/catalog.yml", "ingestion/parameters.yml"):
            shutil.copy(ROOT / "conf" / "base" / name, conf)
        (conf / "globals.yml").write_text(yaml.safe_dump({"data": str(folder / "data"), "longest_video": 21600}))
        loader = OmegaConfigLoader(str(folder / "conf"), base_env="base", default_run_env="base")
        self.catalog = DataCatalog.from_config(loader["catalog"])
        self.catalog["params:targets"] = MemoryDataset(EEV)
        self.catalog["params:ingestion"] = MemoryDataset(
            IngestionConfig.model_validate(loader["parameters"]["ingestion"])
        )
        self.catalog["params:execution"] = MemoryDataset(ExecutionConfig())

    def annotate(self, name: str, table: pd.DataFrame) -> None:
        table.to_csv(self.raw / "annotations" / f"{name}.csv", index=False)

    def video(self, name: str, **settings: Any) -> Path:
        path: Path = clips.Clip(n_frames=20, rate=10, **settings).write(self.raw / "videos" / name)
        return path

    def run(self) -> None:
        SequentialRunner().run(create_pipeline(), self.catalog)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.annotate("train", annotations(**{"-a_b": 2, "1e5": 2, "gone": 1}))
    project.annotate("val", annotations(NA=3))
    project.annotate("test", annotations("Video ID", labelled=False, **{"0012": 2}))
    project.video("-a_b.mp4", audio=clips.sine(2, 440))
    for name in ("1e5.mp4", "NA.mp4", "0012.mp4"):
        project.video(name)
    return project


def test_from_files_to_tables(project: Project) -> None:
    project.run()
    manifest = project.catalog.load("manifest")
    assert manifest["video_id"].tolist() == ["-a_b", "1e5", "gone", "NA", "0012"]
    assert manifest["status"].tolist() == ["available", "available", "unavailable", "available", "available"]
    assert manifest["has_audio"].tolist() == [True, False, False, False, False]
    assert manifest["n_frames_past_end"].tolist() == [0, 0, 0, 6, 0]
    labels = project.catalog.load("labels_train")
    assert labels.columns.tolist() == ["video_id", "timestamp_us", *EEV.names]
    assert labels["timestamp_us"].dtype == np.int64
    assert labels["awe"].dtype == np.float32
    assert project.catalog.load("labels_validation")["video_id"].unique().tolist() == ["NA"]
    assert project.catalog.load("labels_test").columns.tolist() == ["video_id", "timestamp_us"]
    assert project.catalog.load("labels_test")["video_id"].unique().tolist() == ["0012"]
    excluded = project.catalog.load("exclusions")
    assert excluded.to_dict("records") == [
        {
            "video_id": "gone",
            "split": "train",
            "reason": "no file gone.mp4, nor with the suffix of another video",
            "n_frames": 6,
        }
    ]


def test_validation_videos_are_held_out_and_the_data_are_other_data_with_other_ones(project: Project) -> None:
    def held_out(**settings: Any) -> tuple[set[str], str]:
        project.catalog["params:ingestion"] = MemoryDataset(IngestionConfig(**settings))
        project.run()
        manifest = project.catalog.load("manifest")
        assert set(project.catalog.load("labels_validation")["video_id"]) == {"NA", "1", "2", "3"} - set(
            project.catalog.load("labels_holdout")["video_id"]
        )
        of_split = set(manifest.loc[manifest["split"] == "holdout", "video_id"])
        assert of_split == set(project.catalog.load("labels_holdout")["video_id"])
        return of_split, project.catalog.load("data_fingerprint")["fingerprint"]

    project.annotate("val", annotations(**{"NA": 3, "1": 1, "2": 1, "3": 1}))
    found = [held_out(holdout_share=0.5, holdout_seed=seed) for seed in (0, 1, 0)]
    assert [len(videos) for videos, _ in found] == [2, 2, 2]
    assert found[0] == found[2] and found[0][0] != found[1][0] and found[0][1] != found[1][1]
    assert held_out(holdout_share=0.0)[0] == set()


def test_fingerprint_follows_the_data(project: Project) -> None:
    def fingerprint() -> dict[str, str]:
        project.run()
        data: dict[str, str] = project.catalog.load("data_fingerprint")
        return data

    first, again = fingerprint(), fingerprint()
    assert first == again
    assert all(len(value) == 64 for value in first.values())
    project.video("1e5.mp4", audio=clips.sine(1, 440))
    other_video = fingerprint()
    assert other_video["videos"] != first["videos"]
    assert other_video["labels_train"] == first["labels_train"]
    table = annotations(NA=3)
    table.loc[5, "awe"] = 0.123
    project.annotate("val", table)
    other_label = fingerprint()
    assert other_label["labels_validation"] != first["labels_validation"]
    assert len({data["fingerprint"] for data in (first, other_video, other_label)}) == 3


def test_bad_videos_stop_nothing(project: Project) -> None:
    videos = project.raw / "videos"
    whole = (videos / "NA.mp4").read_bytes()
    (videos / "NA.mp4").write_bytes(whole[: len(whole) // 2])
    (videos / "1e5.mp4").write_text("<html>not a video</html>")
    (videos / "0012.mp4").unlink()
    (videos / "0012.mp4").mkdir()
    project.run()
    reasons = project.catalog.load("exclusions").set_index("video_id")["reason"]
    assert reasons.index.tolist() == ["1e5", "gone", "NA", "0012"]
    assert "is no video file" in reasons["1e5"]
    assert "moov" in reasons["NA"]
    assert "is a directory" in reasons["0012"]


@pytest.mark.parametrize(
    ("name", "value"), [("awe", 1.5), ("Timestamp (milliseconds)", 77), ("YouTube ID", "../x"), ("pain", "")]
)
def test_a_bad_table_stops_the_run_with_row_and_column(project: Project, name: str, value: object) -> None:
    table = annotations(**{"-a_b": 2}).astype(object)
    table.loc[4, name] = value
    project.annotate("train", table)
    with pytest.raises(AnnotationError, match=r"train\.csv.*row 6"):
        project.run()


def test_a_video_belongs_to_one_split(project: Project) -> None:
    project.annotate("val", annotations(**{"-a_b": 2}))
    with pytest.raises(SplitError, match=r"'-a_b' is annotated in both train and validation"):
        project.run()


def test_no_videos_at_all(project: Project) -> None:
    shutil.rmtree(project.raw / "videos")
    with pytest.raises(SplitError, match="not one of the 5 annotated videos can be used"):
        project.run()


def test_no_annotations(project: Project) -> None:
    (project.raw / "annotations" / "train.csv").unlink()
    with pytest.raises(DatasetError, match=r"train\.csv"):
        project.run()


def test_unknown_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="caption_langs"):
        IngestionConfig.model_validate({"caption_langs": ["en"]})


class TestMediaFolderDataset:
    def test_loads_the_listing_that_a_node_has_saved(self, tmp_path: Path) -> None:
        videos = tmp_path / "videos"
        dataset = MediaFolderDataset(str(videos))
        assert not dataset.exists()
        (local_folder(str(videos)) / "a.mp4").write_bytes(b"x")
        dataset.save(MediaFolder(str(videos)))
        assert dataset.exists()
        assert dataset.load().files("a").video_path == str(videos / "a.mp4")

    def test_another_folder_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match="the catalog expects them in"):
            MediaFolderDataset(str(tmp_path / "videos")).save(MediaFolder(str(tmp_path / "elsewhere")))

    def test_a_url_is_for_reading_only(self) -> None:
        with pytest.raises(MediaError, match="only be written into a local folder"):
            local_folder("memory://videos")
