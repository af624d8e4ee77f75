"""Clip-level features (paper, section 2.1.2): one action and one subtitle track a video."""

from .pipeline import create_pipeline as create_pipeline
