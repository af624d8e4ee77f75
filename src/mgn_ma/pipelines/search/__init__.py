"""Settings of the networks that score well on validation."""

from .pipeline import create_pipeline as create_pipeline
