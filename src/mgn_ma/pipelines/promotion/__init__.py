"""Compares the challenger with the champion on the same videos, and moves the alias if it is better."""

from .pipeline import create_pipeline as create_pipeline
