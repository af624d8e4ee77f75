"""Pretrained weights: what is needed, from where, whether it is here, and getting it."""

from mgn_ma.pipelines.weights.pipeline import create_pipeline

__all__ = ["create_pipeline"]
