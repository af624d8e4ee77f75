"""New videos through a registered model: curves, moments and pages."""

from .pipeline import create_pipeline

__all__ = ["create_pipeline"]
