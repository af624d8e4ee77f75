"""Optional: fetches the annotated videos with yt-dlp, and accounts for those that can't be had."""

from .pipeline import create_pipeline as create_pipeline
