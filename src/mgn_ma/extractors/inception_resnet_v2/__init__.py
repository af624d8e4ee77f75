"""Image features of the paper: Inception-ResNet-v2 on the 6 Hz grid, 1536-D (section 2.1.1)."""
