"""Registers the ensemble with all that a prediction needs in MLflow's model registry, as the challenger."""

from .pipeline import create_pipeline as create_pipeline
