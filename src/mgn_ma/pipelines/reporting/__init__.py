"""Draws what a run found: learning curves, scores, and one video's curves and attention."""

from .pipeline import create_pipeline as create_pipeline
