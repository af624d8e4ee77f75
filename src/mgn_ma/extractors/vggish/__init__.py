"""Audio features of the paper: VGGish on consecutive patches of 960 ms, 128-D (section 2.1.1)."""
