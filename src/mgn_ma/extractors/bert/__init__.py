"""Subtitle and title features of the paper: a BERT-like encoder, 768-D for BERT base (sections 2.1.2 and 2.1.3)."""
