"""Weight-free descriptors: what stands in for a network where nothing can be downloaded. Pure NumPy, and fast."""
