"""How much of each kind is tried: small by default, so that `make test` runs the same code; `make trust` sets more."""

import os


def count(name: str, default: int) -> int:
    """The count that `make trust` was given under this name (`make trust MUTANTS=2000`)."""
    return int(os.environ.get(f"TRUST_{name}") or default)


SEED = count("SEED", 0)
MUTANTS = count("MUTANTS", 12)
"""Videos with captions and info.json beside them, one of the three damaged."""
FILES = count("FILES", 40)
"""Of each kind of table, text, track, checkpoint and description."""
COMBINATIONS = count("COMBINATIONS", 12)
"""Of container, codec and frame rate."""
KILLS = count("KILLS", 0)
VIDEOS = count("VIDEOS", 20)
"""Of the soak."""
EXAMPLES = count("EXAMPLES", 100)
"""Of each property of a parser."""
