"""Annotations of other data sets than EEV, from the format that each is published in to frame tables of this project.

A format is one file: what it predicts (`TARGETS`), and `read`, which takes the published folder.
"""
