"""Optional: writes captions of what is said in the annotated videos that have none, and accounts for each of them."""

from .pipeline import create_pipeline as create_pipeline
