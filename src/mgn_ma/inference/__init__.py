"""From a trained ensemble and a video to curves, moments and why they happen."""
