"""Many tiny videos through `mgn-ma predict` in one run: memory and open files stay flat, and time is linear."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from counts import VIDEOS
from media_clips import Clip, sine
from watching import PREDICT, watch

HANDLES = 8
"""How many more may be open in the last quarter than in the second."""
BYTES_A_VIDEO = 64 << 10
"""What the tables of a batch grow by, and Python's allocator with them."""
FIRST_BYTES = 128 << 20
"""For what a process loads when it first needs it."""
SECONDS = 10
"""By which one half may be slower than twice the other: a machine is never quite free."""


def test_memory_and_handles_are_flat_and_time_is_linear(
    bundle_folder: Path, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    videos, out = tmp_path / "videos", tmp_path / "out"
    videos.mkdir()
    clip = Path(Clip(n_frames=10, rate=10, audio=sine(1.5, 440)).write(tmp_path / "v.mp4")).read_bytes()
    for number in range(VIDEOS):
        # A free box behind the rest: other bytes, so that no track is one of another video.
        (videos / f"v{number:05}.mp4").write_bytes(clip + b"\0\0\0\x10free" + number.to_bytes(8, "big"))
    command = [*PREDICT, str(videos), "-o", str(out), "--model", str(bundle_folder), "--workers", "2", "--no-page"]
    ran = watch(command, timeout=60 + 5 * VIDEOS)
    assert ran.code == 0, ran.output[-2000:]
    account = pd.read_csv(out / "account.csv", keep_default_na=False)
    assert len(account) == VIDEOS and (account["status"] == "predicted").all()
    assert not ran.left_over
    # Samples while videos are read: the first fifth of the time starts processes and imports.
    memory, handles = (np.array(values)[len(values) // 5 :] for values in (ran.memory, ran.handles))
    early, late = (np.array_split(memory, 4)[quarter].max() for quarter in (1, 3))
    more_handles = int(np.array_split(handles, 4)[3].max()) - int(np.array_split(handles, 4)[1].max())
    done = sorted(path.stat().st_mtime for path in (out / ".tracks/image").rglob("*.arrow"))
    halves = done[len(done) // 2] - done[0], done[-1] - done[len(done) // 2]
    tell(
        f"{VIDEOS} videos in {ran.seconds:.0f} s (halves {halves[0]:.0f} s and {halves[1]:.0f} s): "
        f"{early >> 20} MiB, then {late >> 20} MiB; {more_handles:+} open files"
    )
    assert late - early < FIRST_BYTES + BYTES_A_VIDEO * VIDEOS
    assert more_handles <= HANDLES
    assert halves[1] < 2 * halves[0] + SECONDS
