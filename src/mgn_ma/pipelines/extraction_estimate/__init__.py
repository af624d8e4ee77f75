"""A dry run of all extractions: how many videos, how long, how large. Not part of the default chain."""

from .pipeline import create_pipeline as create_pipeline
