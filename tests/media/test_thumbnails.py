import io

import numpy as np
import pytest
from media_clips import Clip, number_of, numbered
from PIL import Image

from mgn_ma.media.errors import MediaError
from mgn_ma.media.thumbnails import thumbnails


def test_a_thumbnail_is_the_frame_that_is_shown_then(tmp_path):
    clip = Clip(n_frames=40, rate=10, size=(256, 192), picture=lambda k: numbered(k, 256, 192)).write(
        tmp_path / "a.mp4"
    )
    found = thumbnails(str(clip), [1_250_000, 0, 1_250_000, 3_999_999, 4_000_000], longer_side=128)
    assert list(found) == [0, 1_250_000, 3_999_999]
    for (timestamp_us, picture), number in zip(found.items(), (0, 12, 39), strict=True):
        image = Image.open(io.BytesIO(picture))
        assert (image.format, image.size) == ("JPEG", (128, 96)), timestamp_us
        assert number_of(np.asarray(image)) == number


def test_what_is_no_video_is_an_error(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no film")
    with pytest.raises(MediaError, match="no video file"):
        thumbnails(str(tmp_path / "a.mp4"), [0])
