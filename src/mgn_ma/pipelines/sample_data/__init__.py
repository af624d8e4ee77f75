"""Renders the sample: raw videos, annotations in EEV's format, and the truth apart from them."""

from .pipeline import create_pipeline as create_pipeline
