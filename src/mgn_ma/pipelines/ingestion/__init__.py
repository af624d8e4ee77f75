"""Raw annotations and videos in; checked labels, a manifest of videos and an account of exclusions out."""

from .pipeline import create_pipeline as create_pipeline
