"""Renders a small EEV-shaped data set whose answer is known."""
