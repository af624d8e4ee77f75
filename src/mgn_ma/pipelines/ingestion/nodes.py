"""Nodes that check what comes in; a bad table stops the run, a bad video is left out with its reason."""

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd

from mgn_ma.eev.annotations import validate_annotations
from mgn_ma.eev.frames import table_digest
from mgn_ma.eev.targets import Targets
from mgn_ma.execution import ExecutionConfig
from mgn_ma.features.inspection import inspect_videos
from mgn_ma.media.folder import MediaFolder
from mgn_ma.media.manifest import ManifestConfig, build_manifest, exclusions, videos_digest
from mgn_ma.reporting.spreadsheets import for_spreadsheets

FILES = {"train": "train.csv", "validation": "val.csv", "test": "test.csv"}
"""The annotations by split, as EEV names them."""


def validate_split(split: str) -> Callable[[pd.DataFrame, Targets], pd.DataFrame]:
    """The node function that checks the annotations of ``split``; those of the test split have no labels."""

    def validate(annotations: pd.DataFrame, targets: Targets) -> pd.DataFrame:
        """Labels (of the test split: frames) as a frame table."""
        expected = None if split == "test" else targets
        return validate_annotations(annotations, source=f"annotations/{FILES[split]}", targets=expected)

    return validate


def list_videos(
    labels_train: pd.DataFrame,
    labels_validation: pd.DataFrame,
    labels_test: pd.DataFrame,
    videos: MediaFolder,
    ingestion: ManifestConfig,
    execution: ExecutionConfig,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Manifest of all annotated videos, and the part of it that can't be used."""
    splits = {"train": labels_train, "validation": labels_validation, "test": labels_test}
    execution = execution.model_copy(update={"workers": ingestion.workers})
    inspect = partial(inspect_videos, execution=execution, max_seconds=ingestion.max_seconds)
    manifest = build_manifest(splits, videos, ingestion, inspect)
    return manifest, for_spreadsheets(exclusions(manifest))


def fingerprint_data(
    labels_train: pd.DataFrame, labels_validation: pd.DataFrame, labels_test: pd.DataFrame, manifest: pd.DataFrame
) -> dict[str, Any]:
    """Hex SHA-256 of the annotations, of the videos with their captions and titles, and of both together."""
    parts = {
        "labels_train": table_digest(labels_train),
        "labels_validation": table_digest(labels_validation),
        "labels_test": table_digest(labels_test),
        "videos": videos_digest(manifest),
    }
    return {"fingerprint": hashlib.sha256("\n".join(parts.values()).encode()).hexdigest(), **parts}
