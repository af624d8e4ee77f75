"""From a trained ensemble and a video to curves, moments and what carried them."""
