"""What this package reads of media files against a plain full decode by PyAV, file by file.

    python tests/trust/conformance.py FOLDER [--output table.csv] [--workers 2]

Any folder of media will do: FATE's samples, Chromium's media set, one's own. The plain decode takes every frame in the
order in which it comes, each at its own time; it seeks nothing, selects nothing, fills nothing. Printed is what
differs, and why it may. Each file is compared in a worker, so that one that crashes costs itself.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pandas as pd
from av.stream import Disposition
from scipy.signal import correlate

from mgn_ma.execution import ExecutionConfig, run
from mgn_ma.execution.outcome import ready
from mgn_ma.grid import grid_timestamps_us
from mgn_ma.media.audio import iter_audio
from mgn_ma.media.errors import MediaError
from mgn_ma.media.geometry import FrameGeometry
from mgn_ma.media.probe import MediaInfo, probe
from mgn_ma.media.video import iter_frames_at

SIDE = 32
"""In pixels, of the pictures that are compared."""
LEVELS = 8.0
"""Mean absolute difference from which on a picture is another one: both are scaled, and not in the same way."""
RATE = 16_000
LENGTH_US = 2_000
SOUND_US = 50_000
"""What the reader of sound takes for the rounding of a container's clock."""
SOUND_COMPARED = 60 * RATE

Sound = npt.NDArray[np.float32]
Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Row:
    """What was found of a file; ``differs`` is "" where both agree. Times are in microseconds."""

    file: str
    format: str = ""
    rows: int = 0
    plain_rows: int = 0
    length_us: int = 0
    plain_length_us: int = 0
    other_pictures: int = 0
    sound_us: int = 0
    plain_sound_us: int = 0
    sound_offset_us: int = 0
    differs: str = ""


@dataclass(frozen=True)
class Plain:
    """A full decode.

    Attributes:
        times_us: (N,) of its frames in the order of decoding, from the earliest start of a stream on.
        length_us: where the last frame ends.
        pictures: (32, 32, 3) of each frame.
        sound: mono at 16 kHz, from ``sound_from_us`` on.
    """

    format: str
    times_us: npt.NDArray[np.int64]
    length_us: int
    pictures: list[Picture]
    sound: Sound
    sound_from_us: int

    @property
    def sound_us(self) -> int:
        """The end of the sound, 0 where there is none."""
        return self.sound_from_us + len(self.sound) * 1_000_000 // RATE if len(self.sound) else 0

    def picture(self, time_us: int) -> Picture:
        """The last one with a time that is not after ``time_us``; before the first one, that."""
        return self.pictures[max(0, int(np.searchsorted(self.times_us, time_us, side="right")) - 1)]


def decode_plainly(path: str) -> Plain:
    """Decode all of a file.

    Raises:
        av.FFmpegError, LookupError: there is nothing to be had.
    """
    with av.open(path) as container:
        video = next(s for s in container.streams.video if not s.disposition & Disposition.attached_pic)
        streams = [video, *container.streams.audio[:1]]
        zero = min(Fraction(s.start_time * s.time_base) for s in streams if s.start_time is not None)
        length = 1 / video.average_rate if video.average_rate else Fraction(0)
        resampler = av.AudioResampler("flt", "mono", RATE)
        times: list[Fraction] = []
        pictures: list[Picture] = []
        blocks: list[Sound] = []
        end = zero
        sound_from = zero
        for frame in _decoded(container, streams):
            at = Fraction(frame.pts * frame.time_base)
            if isinstance(frame, av.VideoFrame):
                stands = frame.duration * frame.time_base or length
                small = frame.reformat(SIDE, SIDE, "rgb24", interpolation="AREA").to_ndarray()
                pictures.append(small)
                times.append(at - zero)
                end = max(end, at + stands)
            else:
                sound_from = sound_from if blocks else at
                blocks += [block.to_ndarray().ravel() for block in resampler.resample(frame)]
        if not times:
            raise LookupError("no frame can be decoded")
        sound = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
        times_us = np.array([int(time * 1_000_000) for time in times], dtype=np.int64)
        length_us = int((end - zero) * 1_000_000)
        return Plain(container.format.name, times_us, length_us, pictures, sound, int((sound_from - zero) * 1_000_000))


def _decoded(container: Any, streams: list[Any]) -> Iterator[Any]:
    for packet in container.demux(streams):
        try:
            frames = packet.decode()
        except av.FFmpegError:
            continue
        yield from (frame for frame in frames if frame.pts is not None)


def compare(path: str) -> Row:
    """Read a file in both ways."""
    try:
        plain: Plain | None = decode_plainly(path)
        plain_refusal = ""
    except (av.FFmpegError, StopIteration, LookupError, ValueError) as error:
        plain, plain_refusal = None, f"{type(error).__name__}: {error}"
    try:
        info = probe(path)
    except MediaError as error:
        return Row(path, differs="" if plain is None else f"only we refuse it: {error.reason}")
    if plain is None:
        return Row(path, length_us=info.duration_us, differs=f"only the plain decode refuses it: {plain_refusal}")
    return _compared(path, info, plain)


def _compared(path: str, info: MediaInfo, plain: Plain) -> Row:
    times_us = grid_timestamps_us(info.duration_us).tolist()
    shown = iter_frames_at(path, times_us, FrameGeometry(kind="fit", size=4 * SIDE))
    n_rows, others = 0, 0
    for time_us, image in shown:
        n_rows += 1
        small = av.VideoFrame.from_ndarray(image, "rgb24").reformat(SIDE, SIDE, interpolation="AREA").to_ndarray()
        others += bool(np.abs(small.astype(int) - plain.picture(time_us)).mean() > LEVELS)
    sound = np.concatenate(list(iter_audio(path, RATE))) if info.has_audio and len(plain.sound) else plain.sound[:0]
    row = Row(
        path,
        plain.format,
        n_rows,
        len(grid_timestamps_us(plain.length_us)),
        info.duration_us,
        plain.length_us,
        others,
        len(sound) * 1_000_000 // RATE,
        plain.sound_us,
        _offset_us(sound, plain),
    )
    return Row(**asdict(row) | {"differs": _difference(row, plain)})


def _offset_us(sound: Sound, plain: Plain) -> int:
    """How much later our sound is."""
    if not sound.any() or not plain.sound.any():
        return 0
    ours, theirs = sound[:SOUND_COMPARED], plain.sound[:SOUND_COMPARED]
    lag = int(np.argmax(correlate(ours, theirs, mode="full", method="fft"))) - len(theirs) + 1
    return lag * 1_000_000 // RATE - plain.sound_from_us


def _difference(row: Row, plain: Plain) -> str:
    found = []
    if abs(row.length_us - row.plain_length_us) > LENGTH_US:
        found.append(f"length {row.length_us / 1e6:.3f} s, plain {row.plain_length_us / 1e6:.3f} s")
    if row.rows != row.plain_rows:
        found.append(f"{row.rows} rows, plain {row.plain_rows}")
    if row.other_pictures:
        found.append(f"{row.other_pictures} of {row.rows} pictures are others")
    if abs(row.sound_us - row.plain_sound_us) > SOUND_US:
        found.append(f"sound to {row.sound_us / 1e6:.3f} s, plain {row.plain_sound_us / 1e6:.3f} s")
    if abs(row.sound_offset_us) > SOUND_US:
        found.append(f"sound {row.sound_offset_us / 1000:.0f} ms later")
    return "; ".join(found) + (f" ({_why(plain)})" if found else "")


def _why(plain: Plain) -> str:
    steps = np.diff(plain.times_us)
    if np.any(steps < -1_000_000) or np.any(steps > 3_600_000_000):
        return "its clock jumps: we put the pieces end to end"
    if plain.times_us[0] < 0 or np.any(steps <= 0):
        return "frames with times before the start or not in order: we leave out what comes too late"
    if plain.format == "avi":
        return "AVI has no presentation times: we count the sound and take the packets' order for the picture"
    return "unexplained"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, help="a table with a row a file, in CSV")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    paths = sorted(str(path) for path in arguments.folder.rglob("*") if path.is_file())
    table = table_of(paths, ExecutionConfig(workers=arguments.workers, time_limit_s=600, retries=0))
    if arguments.output is not None:
        table.to_csv(arguments.output, index=False)
    for row in table[table["differs"] != ""].to_dict("records"):
        print(f"{row['file']}: {row['differs']}")
    print(f"{len(table)} files, of which {(table['differs'] != '').sum()} differ")


def table_of(paths: list[str], execution: ExecutionConfig) -> pd.DataFrame:
    """A `Row` a file, in their order."""
    outcomes = {outcome.item: outcome for outcome in run(ready(_compared_as_dict), paths, execution)}
    lost = (asdict(Row(path, differs=f"not compared: {outcomes[path].error}")) for path in paths)
    return pd.DataFrame([outcomes[path].result or row for path, row in zip(paths, lost, strict=True)])


def _compared_as_dict(path: str) -> dict[str, Any]:
    """A class of this module has no name that another process knows, where this is the program."""
    return asdict(compare(path))


if __name__ == "__main__":
    main()
