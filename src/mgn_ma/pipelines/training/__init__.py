"""Training of the members and the control, and what each of them predicts (sections 2.2, 2.3 and 3.2)."""

from .pipeline import create_pipeline as create_pipeline
