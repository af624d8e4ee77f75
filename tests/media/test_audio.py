from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_clips import Clip, sine

from mgn_ma.media.audio import _MonoStream, iter_audio, mono
from mgn_ma.media.errors import AudioError, MediaError

RATE = 16_000


def read(path: Path | str, sample_rate: int = RATE) -> np.ndarray:
    return np.concatenate(list(iter_audio(str(path), sample_rate)))


def burst(at_seconds: float, seconds: float, rate: int = 48_000) -> np.ndarray:
    """Silence but for 100 ms of a tone."""
    time = np.arange(round(seconds * rate)) / rate
    inside = (time >= at_seconds) & (time < at_seconds + 0.1)
    return np.where(inside, 0.5 * np.sin(2 * np.pi * 1000 * time), 0).astype(np.float32)[None]


def burst_start(samples: np.ndarray, rate: int = RATE) -> float:
    return float(np.flatnonzero(np.abs(samples) > 0.1)[0]) / rate


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [("a.mp4", "aac", 44_100), ("a.mp4", "aac", 48_000), ("a.mkv", "aac", 32_000), ("a.webm", "libopus", 48_000),
     ("a.mkv", "flac", 44_100), ("a.mkv", "pcm_s16le", 8_000), ("a.mp4", "aac", 16_000)],
)  # fmt: skip
def test_a_tone_comes_out_as_it_went_in(tmp_path: Path, name: str, codec: str, rate: int) -> None:
    video = Clip(n_frames=20, rate=10, codec="libvpx-vp9" if name.endswith("webm") else "libx264")
    video.audio, video.audio_codec, video.audio_rate = sine(2, 440, rate), codec, rate
    samples = read(video.write(tmp_path / name))
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(2 * RATE, abs=1100)
    middle = slice(RATE // 4, -RATE // 2)
    expected = (0.5 * np.sin(2 * np.pi * 440 * np.arange(len(samples)) / RATE))[middle]
    error = samples[middle] - expected
    # A lossless codec leaves the resampler's error only.
    limit = 0.001 if codec in ("flac", "pcm_s16le") else 0.15
    assert np.sqrt(np.mean(error**2)) < limit * np.sqrt(np.mean(expected**2))


def test_rate_of_choice(tmp_path: Path) -> None:
    path = Clip(audio=sine(1, 440)).write(tmp_path / "a.mp4")
    assert len(read(path, 8_000)) == pytest.approx(8_000, abs=600)


class TestWhereTimeBegins:
    @pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
    def test_a_late_start_is_silence(self, tmp_path: Path, name: str) -> None:
        path = Clip(rate=10, n_frames=30, audio=burst(0.5, 2), audio_start=Fraction(3, 4)).write(tmp_path / name)
        samples = read(path)
        assert burst_start(samples) == pytest.approx(1.25, abs=0.03)
        assert np.abs(samples[: int(0.7 * RATE)]).max() == 0

    def test_a_start_that_is_late_by_less_than_a_gap_counts_too(self, tmp_path: Path) -> None:
        clip = Clip(rate=10, n_frames=10, audio=burst(0.5, 1), audio_codec="pcm_s16le", audio_start=Fraction(3, 100))
        assert burst_start(read(clip.write(tmp_path / "a.mkv"))) == pytest.approx(0.53, abs=0.002)

    def test_audio_before_video_keeps_their_distance(self, tmp_path: Path) -> None:
        path = Clip(rate=10, start=1, audio=burst(0.5, 2)).write(tmp_path / "a.mp4")
        assert burst_start(read(path)) == pytest.approx(0.5, abs=0.01)

    def test_sound_alone(self, tmp_path: Path) -> None:
        path = Clip(video=False, audio=burst(0.5, 1)).write(tmp_path / "a.mp4")
        assert burst_start(read(path)) == pytest.approx(0.5, abs=0.01)


class TestGaps:
    def with_gap(self, tmp_path: Path, ticks_ahead: int, name: str = "gap.mkv") -> np.ndarray:
        """A second of tone whose second half comes ``ticks_ahead`` milliseconds later than it should."""
        clip = Clip(rate=10, n_frames=30, audio=burst(0.8, 1), audio_codec="pcm_s16le")
        source = clip.write(tmp_path / "source.mkv")
        with av.open(str(source)) as reader, av.open(str(tmp_path / name), "w") as writer:
            stream = writer.add_stream_from_template(reader.streams.audio[0])
            for packet in reader.demux(audio=0):
                if not packet.size:
                    continue
                if packet.pts * packet.time_base >= Fraction(1, 2):
                    packet.pts += ticks_ahead
                    packet.dts += ticks_ahead
                packet.stream = stream
                writer.mux(packet)
        return read(tmp_path / name)

    def test_a_gap_is_silence(self, tmp_path: Path) -> None:
        samples = self.with_gap(tmp_path, 700)
        assert burst_start(samples) == pytest.approx(1.5, abs=0.005)
        assert len(samples) == pytest.approx(1.7 * RATE, abs=RATE // 20)

    def test_an_overlap_is_cut(self) -> None:
        line = _MonoStream(RATE)
        second = np.ones(RATE, np.float32)
        blocks = [*line.blocks(second, RATE, 0), *line.blocks(second, RATE, 700_000)]
        # Wholly behind what is there already: nothing of it is left.
        blocks += [*line.blocks(second[:100], RATE, 0), line.end()]
        assert sum(map(len, blocks)) == 1.7 * RATE

    def test_the_rate_may_change(self) -> None:
        line = _MonoStream(RATE)
        blocks = [*line.blocks(np.ones(24_000, np.float32), 24_000, 0)]
        blocks += [*line.blocks(np.ones(48_000, np.float32), 48_000, 1_000_000), line.end()]
        assert sum(map(len, blocks)) == pytest.approx(2 * RATE, abs=2)

    def test_jitter_is_none(self, tmp_path: Path) -> None:
        samples = self.with_gap(tmp_path, 20)
        assert burst_start(samples) == pytest.approx(0.8, abs=0.001)
        assert len(samples) == pytest.approx(RATE, abs=2)

    def test_an_absurd_gap_is_a_splice(self, tmp_path: Path) -> None:
        samples = self.with_gap(tmp_path, 30 * 3600 * 1000)
        assert len(samples) < 1.1 * RATE


class TestChannels:
    def test_channels_are_averaged(self, tmp_path: Path) -> None:
        both = np.concatenate([sine(1, 400), np.zeros((1, 48_000), np.float32)])
        clip = Clip(n_frames=10, rate=10, audio=both, audio_layout="stereo", audio_codec="flac")
        samples = read(clip.write(tmp_path / "half.mkv"))
        assert np.abs(samples[2000:-2000]).max() == pytest.approx(0.25, abs=0.01)

    def test_opposite_channels_cancel(self, tmp_path: Path) -> None:
        tone = sine(1, 400)
        clip = Clip(n_frames=10, audio=np.concatenate([tone, -tone]), audio_layout="stereo", audio_codec="flac")
        assert np.abs(read(clip.write(tmp_path / "none.mkv"))).max() < 1e-3

    def test_surround(self, tmp_path: Path) -> None:
        six = np.concatenate([sine(1, 400)] + [np.zeros((1, 48_000), np.float32)] * 5)
        clip = Clip(n_frames=10, rate=10, audio=six, audio_layout="5.1", audio_codec="flac")
        samples = read(clip.write(tmp_path / "surround.mkv"))
        assert np.abs(samples[2000:-2000]).max() == pytest.approx(0.5 / 6, abs=0.005)

    @pytest.mark.parametrize(
        ("name", "values", "expected"),
        [
            ("u8", np.array([[0, 128, 255]], np.uint8), [-1, 0, 127 / 128]),
            ("s16", np.array([[-32768, 0, 16384]], np.int16), [-1, 0, 0.5]),
            ("s32", np.array([[-(2**31), 0, 2**30]], np.int32), [-1, 0, 0.5]),
            ("flt", np.array([[-1.5, 0, 0.25]], np.float32), [-1.5, 0, 0.25]),
            ("dbl", np.array([[-1.0, 0, 0.25]], np.float64), [-1, 0, 0.25]),
        ],
    )
    def test_every_format_has_the_same_scale(self, name: str, values: np.ndarray, expected: list[float]) -> None:
        packed = av.AudioFrame.from_ndarray(values, format=name, layout="mono")
        assert mono(packed).tolist() == pytest.approx(expected)
        planar = av.AudioFrame.from_ndarray(np.repeat(values, 2, axis=0), format=f"{name}p", layout="stereo")
        assert mono(planar).tolist() == pytest.approx(expected)
        interleaved = np.repeat(values, 2, axis=1)
        stereo = av.AudioFrame.from_ndarray(interleaved, format=name, layout="stereo")
        assert mono(stereo).tolist() == pytest.approx(expected)


class TestLengths:
    def test_longer_and_shorter_than_the_video(self, tmp_path: Path) -> None:
        longer = Clip(rate=10, n_frames=5, audio=sine(2, 440)).write(tmp_path / "longer.mp4")
        assert len(read(longer)) == pytest.approx(2 * RATE, abs=600)
        shorter = Clip(rate=10, n_frames=30, audio=sine(0.5, 440)).write(tmp_path / "shorter.mp4")
        assert len(read(shorter)) == pytest.approx(0.5 * RATE, abs=600)

    def test_blocks_are_small(self, tmp_path: Path) -> None:
        path = Clip(rate=1, n_frames=60, audio=sine(60, 440), audio_start=5).write(tmp_path / "long.mp4")
        assert max(map(len, iter_audio(str(path)))) < 2 * RATE


class TestBadFiles:
    def test_no_audio_stream(self, tmp_path: Path) -> None:
        path = Clip().write(tmp_path / "silent.mp4")
        with pytest.raises(AudioError, match=r"silent\.mp4: has no audio stream"):
            read(path)

    def test_no_file(self) -> None:
        with pytest.raises(MediaError, match=r"no\.mp4: no such file"):
            read("no.mp4")

    def test_nothing_can_be_decoded(self, tmp_path: Path) -> None:
        clip = Clip(video=False, audio=sine(1, 440), container_options={"movflags": "faststart"})
        data = bytearray(clip.write(tmp_path / "whole.mp4").read_bytes())
        start = data.index(b"mdat") + 4
        path = tmp_path / "cut.mp4"
        path.write_bytes(data[:start])
        with pytest.raises(AudioError, match="nothing of its audio"):
            read(path)

    def test_damage_keeps_the_time(self, tmp_path: Path) -> None:
        clip = Clip(video=False, audio=burst(3.5, 4), container_options={"movflags": "faststart"})
        data = bytearray(clip.write(tmp_path / "whole.mp4").read_bytes())
        start = data.index(b"mdat") + 4
        middle = start + (len(data) - start) // 3
        data[middle : middle + 200] = b"\xff" * 200
        path = tmp_path / "damaged.mp4"
        path.write_bytes(data)
        assert burst_start(read(path)[3 * RATE :]) == pytest.approx(0.5, abs=0.05)


def test_resampling_does_not_alias(tmp_path: Path) -> None:
    """A tone above the new band is gone, one within it is whole."""
    high = Clip(video=False, audio=sine(1, 9_000), audio_codec="flac").write(tmp_path / "high.mkv")
    assert np.abs(read(high)[2000:-2000]).max() < 1e-4
    low = Clip(video=False, audio=sine(1, 7_000), audio_codec="flac").write(tmp_path / "low.mkv")
    assert np.abs(read(low)[2000:-2000]).max() == pytest.approx(0.5, abs=0.01)
