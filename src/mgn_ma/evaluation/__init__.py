"""Metrics over predictions, ensembling, tables."""
