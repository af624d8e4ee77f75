"""MGN-MA: what a video makes its viewers feel, moment by moment."""

import os

__version__ = "0.1.0"

# OpenMP's threads spin while they wait for each other. On a machine that does anything else besides, each of a small
# network's many short steps then lasts until the scheduler takes the spinning thread away (10 s became 170 s on two
# loaded cores). It reads this when PyTorch is first imported; a value that the user has set stands.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
