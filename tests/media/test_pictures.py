import numpy as np
import pytest
from media_clips import Clip, number_of

from mgn_ma.media.errors import MediaError
from mgn_ma.media.pictures import SIDE, PictureTrack, picture_track


def numbers(pictures):
    return [number_of(np.repeat(picture.reshape(SIDE, SIDE, 1), 3, axis=2)) for picture in pictures]


@pytest.mark.parametrize("rate", [12, 25, 30])
def test_every_frame_has_a_picture(tmp_path, rate):
    clip = Clip(n_frames=50, rate=rate).write(tmp_path / "a.mp4")
    track = picture_track(str(clip), 50 * 1_000_000 // rate)
    assert track.rate_hz == rate
    assert numbers(track.pictures) == list(range(50))


def test_a_long_video_has_as_many_as_are_allowed(tmp_path):
    clip = Clip(n_frames=60, rate=30).write(tmp_path / "a.mp4")
    track = picture_track(str(clip), 2_000_000, most=20)
    assert track.rate_hz == 10
    assert numbers(track.pictures) == [3 * k + 1 for k in range(20)]


def test_the_last_picture_stays_where_nothing_is_shown_any_more(tmp_path):
    clip = Clip(n_frames=10, rate=10).write(tmp_path / "a.mp4")
    assert numbers(picture_track(str(clip), 1_500_000).pictures) == [*range(10), *[9] * 5]


def test_another_rate_takes_what_is_shown_then():
    track = PictureTrack(10.0, np.arange(20, dtype=np.uint8)[:, None])
    assert track.at_rate(10.0).ravel().tolist() == list(range(20))
    assert track.at_rate(5.0).ravel().tolist() == list(range(1, 20, 2))
    assert track.at_rate(20.0).ravel().tolist() == [k // 2 for k in range(40)]


def test_what_is_no_video_is_an_error(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no film")
    with pytest.raises(MediaError, match="no video file"):
        picture_track(str(tmp_path / "a.mp4"), 1_000_000)
