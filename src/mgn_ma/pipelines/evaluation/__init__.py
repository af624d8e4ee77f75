"""Scores the members beside two controls and the oracle."""

from .pipeline import create_pipeline as create_pipeline
