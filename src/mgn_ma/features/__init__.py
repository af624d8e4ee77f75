"""Clocks and alignment, the track store, and extraction that accounts for every video."""
