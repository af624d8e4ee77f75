"""Clip-level features: an action vector of 3.2 s around each 6 Hz time, and one for each caption (section 2.1.2)."""

from kedro.pipeline import Pipeline

from mgn_ma.pipelines.extraction import extraction_pipelines


def create_pipeline() -> Pipeline:
    """The extraction template for every modality of the granularity ``clip``."""
    return extraction_pipelines("clip")
