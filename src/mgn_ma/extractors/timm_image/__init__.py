"""Image features by any network of timm on the 6 Hz grid; the paper's is Inception-ResNet-v2 (section 2.1.1)."""
