"""Makes the ensemble, its predictions and submission, and the report on everything."""

from .pipeline import create_pipeline

__all__ = ["create_pipeline"]
