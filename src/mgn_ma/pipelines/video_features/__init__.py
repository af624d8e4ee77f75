"""Video-level features (section 2.1.3): titles, the video-level network, and one vector a video."""

from .pipeline import create_pipeline as create_pipeline
