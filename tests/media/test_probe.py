from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from media_clips import Clip, sine

from mgn_ma.media.errors import MediaError, VideoError
from mgn_ma.media.probe import probe
from mgn_ma.media.video import FrameGeometry, iter_frames_at


def test_a_plain_video(tmp_path: Path) -> None:
    info = probe(str(Clip(n_frames=60, rate=30, audio=sine(1.5, 440)).write(tmp_path / "a.mp4")))
    assert (info.duration_us, info.fps, info.width, info.height) == (2_000_000, 30.0, 64, 48)
    assert info.has_audio
    assert info.audio_duration_us == pytest.approx(1_500_000, abs=30_000)
    assert not info.truncated


@pytest.mark.parametrize(
    ("name", "clip", "duration_us", "fps"),
    [
        ("ntsc.mp4", Clip(rate=Fraction(30000, 1001), n_frames=30), 1_001_000, 30000 / 1001),
        ("one.mp4", Clip(n_frames=1, rate=25), 40_000, 25),
        ("a.mkv", Clip(n_frames=25, rate=25), 1_000_000, 25),
        ("a.webm", Clip(n_frames=25, rate=25, codec="libvpx-vp9"), 1_000_000, 25),
        ("a.ts", Clip(n_frames=25, rate=25, container_format="mpegts"), 1_000_000, 25),
        ("late.mkv", Clip(n_frames=25, rate=25, start=5), 1_000_000, 25),
    ],
)
def test_durations(tmp_path: Path, name: str, clip: Clip, duration_us: int, fps: float) -> None:
    info = probe(str(clip.write(tmp_path / name)))
    assert info.duration_us == pytest.approx(duration_us, abs=1000)
    assert info.fps == pytest.approx(fps)
    assert (info.has_audio, info.audio_duration_us) == (False, 0)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
@pytest.mark.parametrize("audio_start", [0, Fraction(1, 2)])
@pytest.mark.parametrize("start", [0, Fraction(1, 2)])
def test_the_end_is_where_frames_end(
    tmp_path: Path, name: str, start: Fraction | int, audio_start: Fraction | int
) -> None:
    clip = Clip(n_frames=50, rate=25, start=start, audio=sine(2, 440), audio_start=audio_start)
    path = str(clip.write(tmp_path / name))
    end_us = probe(path).duration_us
    shown = [t for t, _ in iter_frames_at(path, [end_us - 1_000, end_us + 1_000], FrameGeometry(kind="fit", size=8))]
    assert shown == [end_us - 1_000]


def test_a_file_that_was_cut_short_tells_what_it_holds(tmp_path: Path) -> None:
    clip = Clip(n_frames=300, options={"g": "5"}, container_options={"movflags": "faststart"})
    whole = clip.write(tmp_path / "whole.mp4").read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: len(whole) // 2])
    info = probe(str(path))
    assert info.truncated
    shown = [t for t, _ in iter_frames_at(str(path), range(0, 10_000_000, 100_000), FrameGeometry(kind="fit", size=8))]
    assert 10 < len(shown) < 90
    assert info.duration_us == pytest.approx(shown[-1], abs=300_000)


def test_cover_pictures_are_no_video(tmp_path: Path) -> None:
    import av
    from av.stream import Disposition
    from media_clips import numbered

    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        audio = container.add_stream("aac", rate=48_000)
        cover = container.add_stream("mjpeg")
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        for packet in cover.encode(av.VideoFrame.from_ndarray(numbered(1), "rgb24")):
            container.mux(packet)
        frame = av.AudioFrame.from_ndarray(sine(1, 440)[:, :1024], format="fltp", layout="mono")
        frame.sample_rate = 48_000
        for packet in (*audio.encode(frame), *audio.encode(None)):
            container.mux(packet)
    with pytest.raises(VideoError, match="has no video stream"):
        probe(str(path))


def test_bad_files_say_why(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("this is no video" * 50)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder.mp4").mkdir()
    Clip(video=False, audio=sine(1, 440)).write(tmp_path / "sound.mp4")
    for name, reason in (
        ("text.mp4", "is no video file"),
        ("empty.mp4", "is empty"),
        ("folder.mp4", "is a directory"),
        ("absent.mp4", "no such file"),
        ("sound.mp4", "has no video stream"),
    ):
        with pytest.raises(MediaError, match=reason) as raised:
            probe(str(tmp_path / name))
        assert name in str(raised.value)
        assert name not in raised.value.reason
