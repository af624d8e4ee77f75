"""Nodes that check what comes in; a bad table stops the run, a bad video is left out with its reason."""

import hashlib
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd
from pydantic import Field

from mgn_ma.eev.annotations import validate_annotations
from mgn_ma.eev.frames import ANNOTATED, table_digest
from mgn_ma.eev.holdout import carve_holdout
from mgn_ma.eev.targets import Targets
from mgn_ma.execution import ExecutionConfig
from mgn_ma.features.inspection import inspect_videos
from mgn_ma.media.folder import MediaFolder
from mgn_ma.media.manifest import ManifestConfig, build_manifest, exclusions, videos_digest
from mgn_ma.reporting.spreadsheets import for_spreadsheets

logger = logging.getLogger(__name__)

FILES = {"train": "train.csv", "validation": "val.csv", "test": "test.csv"}
"""The annotations by split, as EEV names them."""


class IngestionConfig(ManifestConfig):
    """The parameter ``ingestion``.

    Attributes:
        holdout_share: of the annotated validation videos, kept for the report and promotion alone.
        holdout_seed: draws them.
    """

    holdout_share: float = Field(default=0.3, ge=0.0, lt=1.0)
    holdout_seed: int = Field(default=0, ge=0)


def validate_split(split: str) -> Callable[[pd.DataFrame, Targets], pd.DataFrame]:
    """The node function that checks the annotations of ``split``; those of the test split have no labels."""

    def validate(annotations: pd.DataFrame, targets: Targets) -> pd.DataFrame:
        """Labels (of the test split: frames) as a frame table."""
        expected = None if split == "test" else targets
        return validate_annotations(annotations, source=f"annotations/{FILES[split]}", targets=expected)

    return validate


def validate_validation(
    annotations: pd.DataFrame, targets: Targets, ingestion: IngestionConfig
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Labels of the validation videos that may choose something, and of those that are held out."""
    labels = validate_split("validation")(annotations, targets)
    validation, holdout = carve_holdout(labels, ingestion.holdout_share, ingestion.holdout_seed)
    if ingestion.holdout_share:
        of = f"{holdout['video_id'].nunique()} of {labels['video_id'].nunique()}"
        logger.info("Held out for the report and promotion: %s validation videos", of)
    return validation, holdout


def list_videos(
    labels_train: pd.DataFrame,
    labels_validation: pd.DataFrame,
    labels_holdout: pd.DataFrame,
    labels_test: pd.DataFrame,
    videos: MediaFolder,
    ingestion: IngestionConfig,
    execution: ExecutionConfig,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Manifest of all annotated videos, and the part of it that can't be used."""
    splits = {"train": labels_train, "validation": labels_validation, "holdout": labels_holdout, "test": labels_test}
    execution = execution.model_copy(update={"workers": ingestion.workers})
    inspect = partial(inspect_videos, execution=execution, max_seconds=ingestion.max_seconds)
    manifest = build_manifest(splits, videos, ingestion, inspect)
    return manifest, for_spreadsheets(exclusions(manifest))


def fingerprint_data(
    labels_train: pd.DataFrame,
    labels_validation: pd.DataFrame,
    labels_holdout: pd.DataFrame,
    labels_test: pd.DataFrame,
    manifest: pd.DataFrame,
    *annotations: str | None,
) -> dict[str, Any]:
    """Hex SHA-256 of the labels, of the videos with captions and titles, of both, and of the files of annotations."""
    parts = {
        "labels_train": table_digest(labels_train),
        "labels_validation": table_digest(labels_validation),
        "labels_holdout": table_digest(labels_holdout),
        "labels_test": table_digest(labels_test),
        "videos": videos_digest(manifest),
    }
    files = {f"annotations_{split}": digest for split, digest in zip(ANNOTATED, annotations, strict=True)}
    return {"fingerprint": hashlib.sha256("\n".join(parts.values()).encode()).hexdigest(), **parts, **files}
