"""The paper's two tables and further comparisons, each variant trained with several seeds."""

from .pipeline import create_pipeline as create_pipeline
