"""Files of kinds that others have met, each written here: what is read of them, or the reason why nothing is."""

from __future__ import annotations

import errno
import io
import os
import time
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem
from media_clips import Clip, sine

from mgn_ma.grid import grid_timestamps_us
from mgn_ma.media.audio import iter_audio
from mgn_ma.media.errors import MediaError
from mgn_ma.media.folder import CaptionsFile, MediaFiles
from mgn_ma.media.inspection import LONGEST_S, ListedVideo, VideoRow, inspect_video
from mgn_ma.media.video import FrameGeometry, iter_frames_at

GEOMETRY = FrameGeometry(kind="centre_square", size=32)


def row_of(video: Path, captions: Path | None = None, info: Path | None = None) -> VideoRow:
    files = MediaFiles(str(video), (CaptionsFile(str(captions)),) if captions else (), info and str(info))
    return inspect_video(ListedVideo("v", "", files))


def shown(video: Path, row: VideoRow) -> list[int]:
    """The grid times at which a frame is shown."""
    assert row.duration_us is not None
    return [at for at, _ in iter_frames_at(str(video), grid_timestamps_us(row.duration_us).tolist(), GEOMETRY)]


@pytest.mark.parametrize("layout", ["5.1", "7.1"])
@pytest.mark.parametrize("sample_format", ["fltp", "s16p"])
def test_sound_of_many_planes_is_the_mean_of_its_channels(layout: str, sample_format: str) -> None:
    from mgn_ma.media.audio import mono

    dtype, scale = (np.float32, 1.0) if sample_format == "fltp" else (np.int16, 2.0**15)
    n_channels = av.AudioLayout(layout).nb_channels
    samples = (np.random.default_rng(0).uniform(-0.5, 0.5, (n_channels, 1024)) * scale).astype(dtype)
    packed = av.AudioFrame.from_ndarray(samples.T.reshape(1, -1).copy(), sample_format[:-1], layout)
    packed.sample_rate = 48_000
    (planar,) = av.AudioResampler(sample_format, layout, 48_000).resample(packed)
    assert planar.format.is_planar
    np.testing.assert_allclose(mono(planar), samples.mean(axis=0, dtype=np.float64) / scale, atol=1e-6)


def test_frames_that_an_avi_leaves_out_take_their_time(tmp_path: Path) -> None:
    """Frames 10 to 19 of 30 were dropped: the picture stands still for a third of a second, and nothing moves up."""
    kept = [*range(10), *range(20, 30)]
    path = tmp_path / "dropped.avi"
    Clip(pts=kept, time_base=Fraction(1, 30), codec="mpeg4").write(path)
    row = row_of(path)
    assert row.duration_us == 1_000_000
    times = [0, 299_999, 633_333, 666_667, 999_999]
    images = dict(iter_frames_at(str(path), times, GEOMETRY))
    assert list(images) == times
    assert np.array_equal(images[299_999 + 333_334], images[633_333])
    assert not np.array_equal(images[633_333], images[666_667])


def test_the_sound_of_an_avi_is_as_long_as_its_samples(tmp_path: Path) -> None:
    path = tmp_path / "clock.avi"
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=25)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for _ in range(50):
            container.mux(picture.encode(av.VideoFrame(64, 48, "yuv420p")))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 32_000), np.int16), "s16", "mono")
        frame.sample_rate = 16_000
        for stream, packets in ((sound, sound.encode(frame)), (picture, picture.encode(None))):
            for packet in packets:
                packet.stream = stream
                container.mux(packet)
    data = bytearray(path.read_bytes())
    place = data.index(b"strh", data.index(b"strh") + 4) + 8  # the sound's stream header: its clock follows 20 bytes on
    rate = place + 24
    data[rate : rate + 4] = (int.from_bytes(data[rate : rate + 4], "little") * 25).to_bytes(4, "little")
    path.write_bytes(data)
    n_samples = sum(map(len, iter_audio(str(path))))
    assert n_samples == pytest.approx(32_000, abs=160)


def test_transport_streams_joined_end_to_end_are_as_long_as_all_of_them(tmp_path: Path) -> None:
    one = Clip(n_frames=50, rate=25, container_format="mpegts", audio=sine(2.0, 440)).write(tmp_path / "one.ts")
    joined = tmp_path / "joined.ts"
    joined.write_bytes(Path(one).read_bytes() * 3)
    row = row_of(joined)
    assert row.duration_us == pytest.approx(6_000_000, abs=40_000)
    assert shown(joined, row) == grid_timestamps_us(row.duration_us).tolist()


def test_a_picture_that_ends_before_the_sound_is_said_and_is_not_cut_short(tmp_path: Path) -> None:
    row = row_of(Path(Clip(n_frames=25, rate=25, audio=sine(4.0, 440)).write(tmp_path / "a.mkv")))
    assert row.duration_us == 1_000_000
    assert "its picture ends at 1.0 s and its sound at 4.0 s" in row.note
    assert "cut short" not in row.note


def test_what_is_encrypted_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "drm.mp4"
    options = {
        "encryption_scheme": "cenc-aes-ctr",
        "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
        "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
    }
    Clip(container_options=options).write(path)
    row = row_of(path)
    assert (row.status, row.reason) == ("unavailable", "is encrypted (DRM): without its key there is nothing to decode")


def test_captions_without_a_readable_time_are_counted_in_the_note(tmp_path: Path) -> None:
    captions = tmp_path / "v.srt"
    captions.write_text("1\n00:00:00,000 --> 00:00:01,000\nhello\n\n2\nhalf past two --> three\nlost\n")
    row = row_of(Path(Clip().write(tmp_path / "v.mp4")), captions)
    assert "1 of 2 captions have no readable time and are left out" in row.note


@pytest.mark.parametrize("kind", ["captions", "info"])
def test_a_pipe_beside_a_video_is_no_file(tmp_path: Path, kind: str) -> None:
    video, pipe = Path(Clip().write(tmp_path / "v.mp4")), tmp_path / "pipe"
    os.mkfifo(pipe)
    row = row_of(video, **{kind: pipe})
    assert row.status == "available"
    assert "is no regular file" in row.note
    assert row.captions_path is None


def test_an_error_of_reading_is_no_end_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that fails after two thirds of a file: an error that may not come again, and no shorter video."""
    data = Path(Clip(n_frames=300, size=(320, 240)).write(tmp_path / "v.mkv")).read_bytes()
    filesystem = MemoryFileSystem()
    filesystem.pipe("/failing/v.mkv", data)
    read = MemoryFile.read

    def failing(self: Any, *arguments: Any) -> bytes:
        if self.tell() > len(data) * 2 // 3:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(self, *arguments)

    monkeypatch.setattr(MemoryFile, "read", failing)
    with pytest.raises(MediaError, match="Input/output error") as raised:
        list(iter_frames_at("memory://failing/v.mkv", grid_timestamps_us(10_000_000).tolist(), GEOMETRY))
    assert raised.value.transient
    assert fsspec.filesystem("memory").exists("/failing/v.mkv")


@pytest.mark.parametrize(
    ("name", "times_s", "length"),
    [("year.mkv", [0, 365 * 86400], 31536000), ("hours.mkv", range(0, 12 * 3600, 3600), 39600),
     ("hours.mp4", range(0, 12 * 3599, 3599), 39589)],
)  # fmt: skip
def test_a_small_file_of_a_great_length_is_excluded(
    tmp_path: Path, name: str, times_s: Iterable[int], length: int
) -> None:
    clip = Clip(pts=[1000 * time for time in times_s], time_base=Fraction(1, 1000), size=(32, 32))
    path = Path(clip.write(tmp_path / name))
    assert path.stat().st_size < 20_000
    began = time.monotonic()
    row = inspect_video(ListedVideo("v", "", MediaFiles(str(path))), LONGEST_S)
    assert time.monotonic() - began < 5
    assert row.status == "unavailable"
    assert row.reason == f"is {length} s long, and at most 21600 s are read (max_seconds)"
    assert inspect_video(ListedVideo("v", "", MediaFiles(str(path)))).status == "available"


def test_sound_that_is_too_long_excludes_a_short_picture(tmp_path: Path) -> None:
    path = Path(Clip(n_frames=30, audio=sine(4, 440)).write(tmp_path / "v.mkv"))
    row = inspect_video(ListedVideo("v", "", MediaFiles(str(path))), 3)
    assert row.reason == "is 4 s long, and at most 3 s are read (max_seconds)"


def test_a_million_frames_a_second_are_read(tmp_path: Path) -> None:
    path = Path(Clip(n_frames=100, rate=1_000_000, size=(32, 32)).write(tmp_path / "v.mkv"))
    began = time.monotonic()
    row = row_of(path)
    assert row.status == "available" and row.duration_us < 10_000
    assert len(list(iter_frames_at(str(path), [0], GEOMETRY))) == 1
    assert time.monotonic() - began < 5


class FailingFile(io.FileIO):
    """A file on a disk that fails after 60 % of it."""

    fails = True

    def readinto(self, buffer: Any) -> int:
        if self.fails and self.tell() + len(buffer) > os.fstat(self.fileno()).st_size * 0.6:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().readinto(buffer) or 0

    def read(self, size: int | None = -1) -> bytes:
        buffer = bytearray(os.fstat(self.fileno()).st_size if size is None or size < 0 else size)
        return bytes(buffer[: self.readinto(buffer)])


@pytest.mark.parametrize("name", ["v.mkv", "v.mp4", "v.ts"])
def test_a_disk_that_fails_is_no_end_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """It may answer later: nothing is made of the part that could be read, and the next run tries again."""
    path = Path(Clip(n_frames=300, size=(320, 240), audio=sine(10, 440)).write(tmp_path / name))
    times = grid_timestamps_us(10_000_000).tolist()
    whole = [len(list(iter_frames_at(str(path), times, GEOMETRY))), sum(map(len, iter_audio(str(path))))]
    monkeypatch.setattr(Path, "open", lambda path, *_, **__: FailingFile(str(path)))
    for read in (lambda: list(iter_frames_at(str(path), times, GEOMETRY)), lambda: list(iter_audio(str(path)))):
        with pytest.raises(MediaError, match="Input/output error") as raised:
            read()
        assert raised.value.transient
    row = row_of(path)
    assert row.status == "unavailable" and "Input/output error" in row.reason
    monkeypatch.setattr(FailingFile, "fails", False)
    assert [len(list(iter_frames_at(str(path), times, GEOMETRY))), sum(map(len, iter_audio(str(path))))] == whole
