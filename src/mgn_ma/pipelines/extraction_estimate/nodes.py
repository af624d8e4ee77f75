"""Estimate what the extraction of every modality will cost."""

import logging

import pandas as pd

from mgn_ma.execution import ExecutionConfig
from mgn_ma.features.estimate import as_table, estimate, log_estimate
from mgn_ma.features.plan import ExtractionSettings
from mgn_ma.features.settings import Modalities
from mgn_ma.features.view import ModalityOnDisk
from mgn_ma.pipelines.extraction import plan_extraction

logger = logging.getLogger(__name__)


def estimate_extraction(
    manifest: pd.DataFrame,
    modalities: Modalities,
    settings: ExtractionSettings,
    execution: ExecutionConfig,
    *on_disk: ModalityOnDisk,
) -> pd.DataFrame:
    """Try each modality's extractor on a few seconds of real videos; keeps nothing of what it computes.

    Where networks are among them, this machine is timed for two seconds in both precisions, and the faster one named.

    Returns:
        One row a modality: what is there, what is to be done, and what that will take.
    """
    from mgn_ma.extractors.device import advised_precision, resolve_device
    from mgn_ma.extractors.pretrained import NetworkConfig

    plans = [plan_extraction(manifest, modalities, settings, folder) for folder in on_disk]
    table = as_table(estimate(plan, execution, settings.calibration_seconds) for plan in plans)
    log_estimate(table, execution)
    networks = [plan.config for plan in plans if plan.todo and isinstance(plan.config, NetworkConfig)]
    for device in sorted({resolve_device(config.device) for config in networks}, key=str):
        logger.info("%s", advised_precision(device))
    return table
