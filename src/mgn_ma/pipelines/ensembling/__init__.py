"""Makes the ensemble, its predictions, submission and scores."""

from .pipeline import create_pipeline as create_pipeline
