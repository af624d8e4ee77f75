"""Clip-level features: an action vector of 3.2 s around each 6 Hz time, and one for each caption (section 2.1.2)."""

from kedro.pipeline import Pipeline

from mgn_ma.pipelines.extraction import extraction_pipeline


def create_pipeline(**_: object) -> Pipeline:
    """The extraction template for action and for subtitle."""
    return extraction_pipeline("action") + extraction_pipeline("subtitle")
