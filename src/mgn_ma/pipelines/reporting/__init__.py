"""Draws what a run found: learning curves, scores, and one video's curves and attention."""

from .pipeline import create_pipeline

__all__ = ["create_pipeline"]
