"""New videos through a registered model: curves, moments and pages."""

from .pipeline import create_pipeline as create_pipeline
