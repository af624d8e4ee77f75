"""Packs each split's tracks and labels into what training reads."""

from .pipeline import create_pipeline as create_pipeline
