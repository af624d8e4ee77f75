"""Frame-level features: an image vector at 6 Hz and an audio vector for each 960 ms patch (paper, section 2.1.1)."""

from kedro.pipeline import Pipeline

from mgn_ma.pipelines.extraction import extraction_pipelines


def create_pipeline() -> Pipeline:
    """The extraction template for every modality of the granularity ``frame``."""
    return extraction_pipelines("frame")
