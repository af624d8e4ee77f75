"""MGN-MA: what a video makes its viewers feel, moment by moment."""

__version__ = "0.1.0"
