import base64
import html
import json
import re

import numpy as np
import pytest

from mgn_ma.reporting.page import PageMoment, PageVideo, render_index, render_page

HOSTILE = "</script><script>alert('\u2028')</script> & <b>bold</b>"


def page_video(**changes):
    n_frames = 7
    values = {
        "video_id": "-abc_123",
        "title": "A film",
        "source": None,
        "timestamps_us": np.arange(n_frames, dtype=np.int64) * 1_000_000 // 6,
        "curve_range": (0.0, 1.0),
        "curves": {"awe": np.linspace(0, 1, n_frames), "pain": np.full(n_frames, 0.25)},
        "attention": {"image": np.full(n_frames, 0.75), "audio": np.full(n_frames, 0.25)},
    }
    return PageVideo(**(values | changes))


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL).group(1))


def test_numbers_come_back_within_half_a_step():
    data = data_of(render_page(page_video()))
    curve = np.frombuffer(base64.b64decode(data["curves"]["awe"]), "<u2") / data["full_scale"]
    np.testing.assert_allclose(curve, np.linspace(0, 1, 7), atol=0.5 / 65535 + 1e-12)
    assert data["timestamps_us"][:3] == [0, 166666, 333333]


def test_the_overview_is_the_root_mean_square_of_the_deviations_from_the_means():
    curves = {"valence": np.array([-3, -1, 1, 3, 0, 0, 0.0]), "arousal": np.array([10, 3, 3, 3, 3, 3, 3.0])}
    data = data_of(render_page(page_video(curve_range=(-10.0, 10.0), curves=curves)))
    overview = 20.0 * (np.frombuffer(base64.b64decode(data["overview"]), "<u2") / data["full_scale"])
    by_hand = [np.sqrt((9 + 36) / 2), *(np.sqrt((square + 1) / 2) for square in (1, 1, 9, 0, 0, 0))]
    np.testing.assert_allclose(overview, by_hand, atol=20 * 0.5 / 65535 + 1e-12)


def test_hostile_text_stays_text():
    moment = PageMoment("awe", 0, 166666, 333333, 0.5, 0.2, {HOSTILE: 0.1}, caption=HOSTILE)
    page = render_page(
        page_video(
            video_id=HOSTILE, title=HOSTILE, moments=[moment], captions=[(0, 10, HOSTILE)], facts={HOSTILE: HOSTILE}
        )
    )
    assert "<b>bold" not in page
    assert "<script>alert" not in page
    head = html.unescape(page.partition("</head>")[0])
    assert "script-src 'sha256-" in head and "unsafe" not in head
    assert page.count("</script>") == 2  # the data and the script of the page itself
    data = data_of(page)
    assert data["captions"] == [[0, 10, HOSTILE]]
    assert data["moments"][0]["caption"] == HOSTILE


def test_a_page_loads_nothing_from_elsewhere():
    page = render_page(page_video(source="film.mp4"))
    assert re.findall(r"(?:src|href)=\"([^\"]*)\"", page) == ["film.mp4"]
    assert "http:" not in page
    assert "https:" not in page


def test_a_curve_of_another_length_or_with_nan_is_refused():
    with pytest.raises(ValueError, match="-abc_123: awe has 3 values for 7"):
        render_page(page_video(curves={"awe": np.zeros(3)}))
    with pytest.raises(ValueError, match="finite"):
        render_page(page_video(curves={"awe": np.full(7, np.nan)}))


def test_the_index_links_pages_and_says_why_one_is_missing():
    page = render_index(
        [
            {"href": "a.html", "title": HOSTILE, "video_id": "a", "duration": "0:20", "moments": "3 moments"},
            {"title": "", "video_id": "b", "error": "no video stream"},
        ]
    )
    assert 'href="a.html"' in page
    assert "<script>alert" not in page
    assert "not predicted: no video stream" in page


def test_curves_of_another_range_come_back_too():
    falling = np.linspace(3, -1, 7)
    data = data_of(render_page(page_video(curve_range=(-1.0, 3.0), curves={"valence": falling})))
    low, high = data["curve_range"]
    curve = low + (high - low) * np.frombuffer(base64.b64decode(data["curves"]["valence"]), "<u2") / data["full_scale"]
    np.testing.assert_allclose(curve, falling, atol=4 * 0.5 / 65535 + 1e-12)
    shares = np.frombuffer(base64.b64decode(data["attention"]["image"]), "<u2") / data["full_scale"]
    np.testing.assert_allclose(shares, 0.75, atol=0.5 / 65535 + 1e-12)
