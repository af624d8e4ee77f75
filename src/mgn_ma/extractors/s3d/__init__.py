"""Action features: S3D (MIL-NCE, HowTo100M) over windows of 32 frames, what overlapping windows share computed once."""
