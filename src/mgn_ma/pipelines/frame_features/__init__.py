"""Frame-level features (paper, section 2.1.1): one image and one audio track a video."""

from .pipeline import create_pipeline as create_pipeline
