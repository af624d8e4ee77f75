"""Pretrained weights: what is needed, from where, whether it is here, and getting it."""

from .pipeline import create_pipeline as create_pipeline
