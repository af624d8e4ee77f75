from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from media_clips import Clip, expected_numbers, number_of, numbered, repeated, sine

from mgn_ma.grid import grid_timestamps_us
from mgn_ma.media.errors import MediaError, VideoError
from mgn_ma.media.geometry import FrameGeometry
from mgn_ma.media.video import iter_frames_at

WHOLE = FrameGeometry(kind="fit", size=64)


def numbers_at(path: Path | str, timestamps_us: Any) -> list[tuple[int, int]]:
    return [(t, number_of(image)) for t, image in iter_frames_at(str(path), timestamps_us, WHOLE)]


FRAME_TIMES_30 = [k * 1_000_000 // 30 for k in range(30)]
IN_MILLISECONDS = [round(k * 1000 / 30) * 1000 for k in range(30)]
SECOND = 1_000_000
PYRAMID = {"bf": "16", "b-pyramid": "normal", "b-adapt": "0", "g": "30"}
OPEN_GOP = {"x264-params": "open-gop=1:keyint=10:bframes=3:b-adapt=0"}
REFRESH = {"x264-params": "intra-refresh=1:keyint=10"}
FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+delay_moov"}
QUIET_HEVC = {"x265-params": "log-level=none"}
UNEVEN = [0, 10, 11, 12, 90, 91, 300, 301, 302, 303, 600]
VARIABLE = Clip(pts=UNEVEN, time_base=Fraction(1, 600))


@pytest.mark.parametrize(
    ("name", "clip", "pts_us", "end_us"),
    [
        ("plain.mp4", Clip(), FRAME_TIMES_30, SECOND),
        ("no_b_frames.mp4", Clip(options={"bf": "0"}), FRAME_TIMES_30, SECOND),
        ("many_b_frames.mp4", Clip(options=PYRAMID), FRAME_TIMES_30, SECOND),
        ("open_gop.mp4", Clip(options=OPEN_GOP), FRAME_TIMES_30, SECOND),
        ("intra_refresh.mp4", Clip(options=REFRESH), FRAME_TIMES_30, SECOND),
        ("hevc.mp4", Clip(codec="libx265", options=QUIET_HEVC), FRAME_TIMES_30, SECOND),
        ("fragmented.mp4", Clip(container_options=FRAGMENTED), FRAME_TIMES_30, SECOND),
        # Matroska rounds times to the millisecond, and that is when its frames are shown.
        ("plain.mkv", Clip(), IN_MILLISECONDS, SECOND),
        ("vp9.webm", Clip(codec="libvpx-vp9"), IN_MILLISECONDS, SECOND),
        # MPEG-TS doesn't begin at zero, by convention.
        ("transport.ts", Clip(container_format="mpegts"), FRAME_TIMES_30, SECOND),
        ("counted.avi", Clip(), FRAME_TIMES_30, SECOND),
        ("ntsc.mp4", Clip(rate=Fraction(30000, 1001)), [k * 1_001_000 // 30 for k in range(30)], 1_001_000),
        ("slow.mp4", Clip(rate=Fraction(1, 2), n_frames=5), [k * 2_000_000 for k in range(5)], 10_000_000),
        ("one_frame.mp4", Clip(n_frames=1), [0], 33_333),
        (
            "variable.mkv",
            Clip(pts=UNEVEN, time_base=Fraction(1, 600)),
            [round(at / 0.6) * 1000 for at in UNEVEN],
            SECOND,
        ),
        ("variable.mp4", VARIABLE, [at * SECOND // 600 for at in UNEVEN], SECOND),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_shows_the_last_frame_not_later_than_t(
    tmp_path: Path, name: str, clip: Clip, pts_us: list[int], end_us: int
) -> None:
    path = clip.write(tmp_path / name)
    tight = sorted({0, *pts_us, *(at - 1 for at in pts_us if at), *(at + 1 for at in pts_us)})
    if name.startswith("variable"):
        # The last frame's length is the writer's choice: ask up to its start only.
        tight = [t for t in tight if t <= pts_us[-1]]
    for wanted in (tight, grid_timestamps_us(end_us), pts_us[::7], [pts_us[-1]], [0], [end_us // 2] * 3, [end_us // 4]):
        expected = expected_numbers(pts_us, 10**12 if name.startswith("variable") else end_us, wanted)
        assert numbers_at(path, wanted) == expected


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_nothing_is_shown_after_the_end_of_the_last_frame(tmp_path: Path, name: str) -> None:
    path = Clip(audio=sine(3, 440)).write(tmp_path / name)
    shown = numbers_at(path, range(0, 3_000_000, 10_000))
    assert shown[-1][1] == 29
    assert 970_000 <= shown[-1][0] <= 1_060_000


def test_times_are_absent_before_and_no_frame_is_asked_for() -> None:
    with pytest.raises(MediaError, match="no such file"):
        list(iter_frames_at("absent.mp4", [], WHOLE))


def test_no_timestamps_give_no_frames(tmp_path: Path) -> None:
    assert numbers_at(Clip().write(tmp_path / "a.mp4"), []) == []


def test_timestamps_must_ascend(tmp_path: Path) -> None:
    path = Clip().write(tmp_path / "a.mp4")
    with pytest.raises(ValueError, match="must ascend"):
        numbers_at(path, [5, 4])


def test_equal_frames_are_one_array(tmp_path: Path) -> None:
    path = Clip(rate=2, n_frames=4).write(tmp_path / "a.mp4")
    images = [image for _, image in iter_frames_at(str(path), [0, 100, 499_999, 500_000], WHOLE)]
    assert images[0] is images[1] is images[2]
    assert images[3] is not images[2]


class TestWhereTimeBegins:
    """t = 0 is the earliest start of the audio and video streams."""

    def test_video_that_starts_after_the_audio_shows_its_first_frame_until_then(self, tmp_path: Path) -> None:
        path = Clip(start=Fraction(1, 2), audio=sine(1.5, 440)).write(tmp_path / "late.mp4")
        assert numbers_at(path, [0, 499_999, 500_000, 533_333, 1_499_999, 1_500_000]) == [
            (0, 0), (499_999, 0), (500_000, 0), (533_333, 1), (1_499_999, 29),
        ]  # fmt: skip

    @pytest.mark.parametrize("name", ["late.mp4", "late.mkv"])
    def test_times_before_the_first_frame_alone(self, tmp_path: Path, name: str) -> None:
        path = Clip(start=Fraction(1, 2), audio=sine(1.5, 440)).write(tmp_path / name)
        assert numbers_at(path, [0, 100_000]) == [(0, 0), (100_000, 0)]

    def test_video_alone_starts_at_zero_wherever_the_container_puts_it(self, tmp_path: Path) -> None:
        path = Clip(start=7).write(tmp_path / "alone.mkv")
        assert numbers_at(path, [0, 500_000]) == [(0, 0), (500_000, 15)]

    def test_audio_priming_is_not_the_start(self, tmp_path: Path) -> None:
        # AAC starts with 1024 samples, Opus with 312, that are decoded and thrown away.
        for name, codec in (("aac.mp4", "aac"), ("opus.mkv", "libopus"), ("opus.mp4", "libopus"), ("aac.mkv", "aac")):
            path = Clip(rate=10, n_frames=10, audio=sine(1, 440), audio_codec=codec).write(tmp_path / name)
            assert numbers_at(path, [0, 99_999, 100_000, 900_000]) == [(0, 0), (99_999, 0), (100_000, 1), (900_000, 9)]

    def test_frames_that_an_edit_list_cuts_are_not_shown(self, tmp_path: Path) -> None:
        # Frames before zero: the muxer writes an edit list that starts at zero.
        clip = Clip(
            pts=range(-6, 24), options={"bf": "2", "g": "30"}, container_options={"avoid_negative_ts": "disabled"}
        )
        path = clip.write(tmp_path / "cut.mp4")
        assert numbers_at(path, [0, 33_333, 700_000]) == [(0, 6), (33_333, 7), (700_000, 27)]


class TestBrokenTimes:
    def remux(self, source: Path, target: Path, change: Any, **kwargs: Any) -> Path:
        with av.open(str(source)) as reader, av.open(str(target), "w", **kwargs) as writer:
            stream = writer.add_stream_from_template(reader.streams.video[0])
            for index, packet in enumerate(p for p in reader.demux(video=0) if p.size):
                change(index, packet)
                packet.stream = stream
                writer.mux(packet)
        return target

    def test_a_frame_that_is_not_later_than_its_forerunner_is_left_out(self, tmp_path: Path) -> None:
        source = Clip(rate=10, n_frames=10, options={"bf": "0"}).write(tmp_path / "source.mkv")

        def change(index: int, packet: Any) -> None:
            packet.dts -= 300
            if index == 5:
                packet.pts -= 200

        path = self.remux(source, tmp_path / "back.mkv", change)
        assert numbers_at(path, [400_000, 500_000, 600_000]) == [(400_000, 4), (500_000, 4), (600_000, 6)]

    def test_a_jump_back_in_the_middle_is_a_splice_for_the_selection_too(self, tmp_path: Path) -> None:
        source = Clip(rate=10, n_frames=200, options={"bf": "0", "g": "10"}).write(tmp_path / "source.mkv")

        def change(index: int, packet: Any) -> None:
            packet.dts -= 20_000
            if index >= 120:
                packet.pts -= 10_000

        path = self.remux(source, tmp_path / "back.mkv", change)
        expected = [(t * 1_000_000, t * 10) for t in range(20)]
        assert numbers_at(path, [t for t, _ in expected]) == expected
        assert numbers_at(path, [15_000_000]) == [(15_000_000, 150)]

    def test_a_splice_goes_on_where_the_first_part_ended(self, tmp_path: Path) -> None:
        first = Clip(rate=10, n_frames=10, container_format="mpegts", options={"bf": "0"}).write(tmp_path / "1.ts")
        second = Clip(
            rate=10, n_frames=10, container_format="mpegts", options={"bf": "0"}, picture=lambda k: numbered(100 + k)
        ).write(tmp_path / "2.ts")
        # 50 s ahead and back again: two streams of different clocks one after the other.
        ahead = self.remux(first, tmp_path / "3.ts", lambda _, p: shift(p, 50 * 90_000), format="mpegts")
        joined = tmp_path / "joined.ts"
        joined.write_bytes(ahead.read_bytes() + second.read_bytes())
        numbers = dict(numbers_at(joined, range(0, 3_000_000, 100_000)))
        assert [numbers[t] for t in range(0, 1_000_000, 100_000)] == list(range(10))
        assert [numbers[t] for t in range(1_000_000, 2_000_000, 100_000)] == list(range(100, 110))
        assert max(numbers) < 2_100_000


def shift(packet: Any, ticks: int) -> None:
    packet.pts += ticks
    packet.dts += ticks


@pytest.fixture(scope="module")
def long_clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Clips of 120 frames that differ in how frames refer to each other."""
    folder = tmp_path_factory.mktemp("long")
    common: dict[str, Any] = {"n_frames": 120, "rate": 25}
    clips = {
        "closed.mp4": Clip(**common, options={"g": "12", "bf": "3"}),
        "open.mkv": Clip(
            **common, options={"x264-params": "open-gop=1:keyint=12:bframes=3:b-adapt=0:b-pyramid=normal"}
        ),
        "pyramid.mp4": Clip(**common, options={"x264-params": "keyint=40:bframes=8:b-adapt=0:b-pyramid=normal"}),
        "refresh.mp4": Clip(**common, options={"x264-params": "intra-refresh=1:keyint=20"}),
        "hevc.mp4": Clip(**common, codec="libx265", options={"x265-params": "log-level=none:keyint=15:open-gop=1"}),
        "vp9.webm": Clip(**common, codec="libvpx-vp9", options={"g": "15", "auto-alt-ref": "1", "lag-in-frames": "16"}),
    }
    return [clip.write(folder / name) for name, clip in clips.items()]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.integers(0, 5), wanted=st.lists(st.integers(0, 5_000_000), min_size=1, max_size=12))
def test_leaving_packets_out_changes_nothing(long_clips: list[Path], which: int, wanted: list[int]) -> None:
    path = long_clips[which]
    wanted = sorted(wanted)
    times = range(0, 4_800_000, 40_000)
    assert numbers_at(path, wanted) == expected_numbers(times, 4_800_000, wanted)


def test_hours_may_be_left_out(tmp_path: Path) -> None:
    path = Clip(rate=Fraction(1, 100), n_frames=200, options={"g": "5"}).write(tmp_path / "long.mp4")
    wanted = [0, 5_000_000_000, 19_850_000_000]
    assert numbers_at(path, wanted) == [(0, 0), (5_000_000_000, 50), (19_850_000_000, 198)]


def test_sparse_frames_decode_a_part_only(long_clips: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    from mgn_ma.media import video

    def count(stream: Any, packet: Any) -> list[Any]:
        decoded.append(packet)
        return decode(stream, packet)

    decode = video.decode_packet
    monkeypatch.setattr(video, "decode_packet", count)
    closed = long_clips[0]
    assert numbers_at(closed, [4_000_000]) == [(4_000_000, 100)]
    assert len(decoded) < 20


def test_pixels_are_the_same_whatever_is_left_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(40)]
    path = Clip(n_frames=40, picture=noise.__getitem__, options={"bf": "3", "g": "12"}).write(tmp_path / "noise.mp4")
    times = [k * 1_000_000 // 30 for k in range(40)]
    everything = dict(iter_frames_at(str(path), times, WHOLE))
    for step in (5, 13):
        for t, image in iter_frames_at(str(path), times[::step], WHOLE):
            assert np.array_equal(image, everything[t])


class TestBadFiles:
    @pytest.mark.parametrize(
        "text",
        [
            "not a video",
            "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/secret.ts\n",
            "ffconcat version 1.0\nfile other.mp4\n",
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>',
            "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
        ],
    )
    def test_text_that_is_called_a_video(self, tmp_path: Path, text: str) -> None:
        Clip(n_frames=3).write(tmp_path / "other.mp4")
        path = tmp_path / "text.mp4"
        path.write_text(text)
        with pytest.raises(MediaError, match=r"text\.mp4: is no video file"):
            numbers_at(path, [0])

    def test_empty_file(self, tmp_path: Path) -> None:
        path = tmp_path / "empty.mp4"
        path.touch()
        with pytest.raises(MediaError, match=r"empty\.mp4: is empty"):
            numbers_at(path, [0])

    def test_directory(self, tmp_path: Path) -> None:
        with pytest.raises(MediaError, match="is a directory"):
            numbers_at(tmp_path, [0])

    def test_pipe_that_nobody_writes_to(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.mp4")
        with pytest.raises(MediaError, match="is no regular file"):
            numbers_at(tmp_path / "pipe.mp4", [0])

    def test_no_video_stream(self, tmp_path: Path) -> None:
        path = Clip(video=False, audio=sine(1, 440)).write(tmp_path / "sound.mp4")
        with pytest.raises(VideoError, match=r"sound\.mp4: has no video stream"):
            numbers_at(path, [0])

    def test_index_is_missing(self, tmp_path: Path) -> None:
        whole = Clip().write(tmp_path / "whole.mp4").read_bytes()
        path = tmp_path / "cut.mp4"
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(MediaError, match=r"cut\.mp4: is an incomplete MP4: its index \(moov\) is missing"):
            numbers_at(path, [0])

    def test_cut_in_the_middle_gives_what_it_holds(self, tmp_path: Path) -> None:
        clip = Clip(n_frames=90, options={"g": "5"}, container_options={"movflags": "faststart"})
        whole = clip.write(tmp_path / "whole.mp4").read_bytes()
        path = tmp_path / "cut.mp4"
        path.write_bytes(whole[: len(whole) * 2 // 3])
        shown = numbers_at(path, range(0, 3_000_000, 100_000))
        # The frame at the cut itself may be damaged.
        assert 5 < len(shown) < 29
        assert shown[:-1] == [(t, t * 30 // 1_000_000) for t, _ in shown[:-1]]

    def test_nothing_can_be_decoded(self, tmp_path: Path) -> None:
        clip = Clip(container_options={"movflags": "faststart"})
        data = bytearray(clip.write(tmp_path / "whole.mp4").read_bytes())
        start = data.index(b"mdat") + 4
        data[start:] = bytes(len(data) - start)
        path = tmp_path / "zeros.mp4"
        path.write_bytes(data)
        with pytest.raises(VideoError, match=r"zeros\.mp4: not one frame"):
            numbers_at(path, [0])

    def test_damage_in_the_middle_is_skipped(self, tmp_path: Path) -> None:
        clip = Clip(n_frames=90, options={"g": "10", "bf": "0"}, container_options={"movflags": "faststart"})
        data = bytearray(clip.write(tmp_path / "whole.mp4").read_bytes())
        middle = len(data) * 2 // 3
        data[middle : middle + 600] = b"\xff" * 600
        path = tmp_path / "damaged.mp4"
        path.write_bytes(data)
        shown = dict(numbers_at(path, range(0, 3_000_000, 100_000)))
        assert shown[0] == 0
        assert shown[2_900_000] == 87


def test_a_name_can_look_like_an_option_or_a_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("-abc.mp4", "concat:a|b.mp4", "é ü.mp4"):
        Clip(n_frames=3).write(tmp_path / "x.mp4").rename(tmp_path / name)
        assert numbers_at(name, [0]) == [(0, 0)]


def test_reads_through_fsspec(tmp_path: Path) -> None:
    import fsspec

    data = Clip().write(tmp_path / "a.mp4").read_bytes()
    with fsspec.open("memory://videos/a.mp4", "wb") as file:
        file.write(data)
    assert numbers_at("memory://videos/a.mp4", [0, 500_000]) == [(0, 0), (500_000, 15)]
    with pytest.raises(MediaError, match=r"memory://videos/b\.mp4"):
        numbers_at("memory://videos/b.mp4", [0])


# Not getrusage: a process starts with the peak of the one that started it.
PEAK = r"""
import re, sys
from pathlib import Path
from mgn_ma.media.geometry import FrameGeometry
from mgn_ma.media.video import iter_frames_at
wanted = range(0, int(sys.argv[2]), 1_000_000 // 6)
n = sum(1 for _ in iter_frames_at(sys.argv[1], wanted, FrameGeometry(kind="centre_square", size=224), threads=1))
print(n, re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from Linux's /proc")
def test_peak_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    ten_seconds = Clip(n_frames=300, size=(320, 240), options={"g": "250"}).write(tmp_path / "10.mp4")
    peaks = []
    for seconds in (20, 600):
        path = repeated(ten_seconds, tmp_path / f"{seconds}.mp4", seconds // 10)
        command = [sys.executable, "-c", PEAK, str(path), str(seconds * 1_000_000)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        n_frames, peak = map(int, done.stdout.split())
        assert n_frames == pytest.approx(seconds * 6, abs=1)
        peaks.append(peak)
    assert peaks[1] < 1.1 * peaks[0]
