"""Scores the members beside the controls, the oracle and, where it is asked for, the model without training."""

from .pipeline import create_pipeline as create_pipeline
