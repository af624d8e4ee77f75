"""Estimate what the extraction of every modality will cost."""

import pandas as pd

from mgn_ma.execution import ExecutionConfig
from mgn_ma.features.estimate import as_table, estimate, log_estimate
from mgn_ma.features.plan import ExtractionSettings
from mgn_ma.features.settings import Modalities
from mgn_ma.features.view import ModalityOnDisk
from mgn_ma.pipelines.extraction import plan_extraction


def estimate_extraction(
    manifest: pd.DataFrame,
    modalities: Modalities,
    settings: ExtractionSettings,
    execution: ExecutionConfig,
    *on_disk: ModalityOnDisk,
) -> pd.DataFrame:
    """Try each modality's extractor on a few seconds of real videos; keeps nothing of what it computes.

    Returns:
        One row a modality: what is there, what is to be done, and what that will take.
    """
    plans = [plan_extraction(manifest, modalities, settings, folder) for folder in on_disk]
    table = as_table(estimate(plan, execution, settings.calibration_seconds) for plan in plans)
    log_estimate(table, execution)
    return table
