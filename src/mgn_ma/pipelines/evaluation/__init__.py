"""Scores the members beside two controls and the oracle."""

from .pipeline import create_pipeline

__all__ = ["create_pipeline"]
