"""The comparison with a plain decode agrees with what is right, and sees what is wrong."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import conformance
import numpy as np
import pytest
from conformance import compare, decode_plainly, table_of
from media_clips import Clip, sine

from mgn_ma.execution import ExecutionConfig

NOISE = np.random.default_rng(0).uniform(-0.3, 0.3, (1, 96_000)).astype(np.float32)
CLIPS = {
    "a.mp4": Clip(n_frames=50, rate=25, audio=sine(2, 440)),
    "b.webm": Clip(n_frames=48, rate=24, codec="libvpx", audio=NOISE, audio_codec="libopus"),
    "late_sound.mkv": Clip(n_frames=50, rate=25, audio=sine(1.5, 440), audio_start=Fraction(1, 2)),
    "late_start.ts": Clip(n_frames=50, rate=25, audio=sine(2, 440), start=3, audio_start=3),
    "silent.mov": Clip(n_frames=50, rate=30),
}


def test_files_that_are_in_order_agree(tmp_path: Path) -> None:
    paths = [str(clip.write(tmp_path / name)) for name, clip in CLIPS.items()]
    (tmp_path / "none.mp4").write_bytes(b"no video")
    table = table_of([*paths, str(tmp_path / "none.mp4")], ExecutionConfig(workers=2, retries=0))
    assert table["differs"].tolist() == [""] * (len(CLIPS) + 1)
    assert table["rows"].tolist() == [12, 12, 12, 13, 10, 0], "MPEG-TS presents what primes its sound"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"length_us": 400_000}, "length 1.999 s, plain 1.599 s; 12 rows, plain 10"),
        ({"pictures": 5}, "pictures are others"),
        ({"sound_us": 250_000}, "sound 250 ms later"),
    ],
)
def test_what_differs_is_found(
    change: dict[str, int], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = CLIPS["b.webm"].write(tmp_path / "b.webm")
    plain = decode_plainly(str(path))
    other = replace(
        plain,
        length_us=plain.length_us - change.get("length_us", 0),
        pictures=plain.pictures[change.get("pictures", 0) :] + plain.pictures[:5],
        sound_from_us=plain.sound_from_us - change.get("sound_us", 0),
    )
    monkeypatch.setattr(conformance, "decode_plainly", lambda path: other)
    assert said in compare(str(path)).differs
