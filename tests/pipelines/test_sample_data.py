"""The sample_data pipeline as Kedro runs it: what it leaves in its data folder, and what it refuses to overwrite."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from mgn_ma.datasets.media_folder import MediaFolderDataset
from mgn_ma.pipelines.sample_data import create_pipeline
from mgn_ma.pipelines.sample_data.nodes import SampleNotWantedError
from mgn_ma.sample.config import SampleConfig


def _catalog(folder: Path, sample: SampleConfig) -> DataCatalog:
    outputs = {name: MemoryDataset() for name in create_pipeline().outputs() - {"raw_videos"}}
    return DataCatalog(
        {
            **outputs,
            "sample_plan": MemoryDataset(copy_mode="assign"),
            "params:sample": MemoryDataset(sample),
            "raw_videos_folder": MemoryDataset(str(folder)),
            "raw_videos": MediaFolderDataset(str(folder)),
        }
    )


def test_a_run_leaves_videos_annotations_and_truth(tmp_path: Path) -> None:
    sample = SampleConfig(render=True, videos=5, shortest_seconds=4, longest_seconds=4.5, workers=1, awkward=False)
    catalog = _catalog(tmp_path, sample)
    SequentialRunner().run(create_pipeline(), catalog)

    tables = {split: catalog.load(f"annotations_{split}") for split in ("train", "validation", "test")}
    assert [table.iloc[:, 0].nunique() for table in tables.values()] == [3, 1, 1]
    on_disk = {path.name.removesuffix(".mp4") for path in tmp_path.glob("*.mp4")}
    assert on_disk == set(pd.concat([table.iloc[:, 0] for table in tables.values()]))
    assert len(catalog.load("truth_test_labels")) == len(tables["test"])
    assert list(catalog.load("truth_videos")["split"]) == ["train"] * 3 + ["validation", "test"]


def test_raw_data_that_may_be_somebodys_own_are_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(SampleNotWantedError, match="--env sample"):
        SequentialRunner().run(create_pipeline(), _catalog(tmp_path, SampleConfig()))
    assert not list(tmp_path.iterdir())
