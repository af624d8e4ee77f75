"""Frozen networks and weight-free descriptors that turn media into feature tracks."""
