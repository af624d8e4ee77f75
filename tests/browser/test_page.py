"""The page of a video, tried in a real browser on a real H.264 file."""

import io

import av
import numpy as np
import pytest
from page_tools import HOSTILE, current_time, wait_until
from PIL import Image

from mgn_ma.eev.targets import EEV
from mgn_ma.reporting.page import PageMoment, PageVideo, render_page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

N_FRAMES = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    with av.open(str(folder / "film.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=12)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(120):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), i, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    thumbnail = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(thumbnail, "JPEG")
    timestamps = np.arange(N_FRAMES, dtype=np.int64) * 1_000_000 // 6
    curves = {name: 0.2 + 0.1 * np.sin(timestamps / 1e6 + i) for i, name in enumerate(EEV.names)}
    attention = {"image": np.full(N_FRAMES, 0.7), "audio": np.full(N_FRAMES, 0.3)}
    moments = [
        PageMoment(
            "awe", 2_000_000, 3_000_000, 4_000_000, 0.3, 0.1, {"picture": 0.03, "sound": -0.07}, thumbnail.getvalue()
        ),
        PageMoment(
            "pain", 6_000_000, 7_000_000, 8_000_000, 0.3, 0.1, {"picture": 0.2, "sound": -1e-4}, caption=HOSTILE
        ),
    ]
    video = PageVideo(
        "-abc",
        HOSTILE,
        "film.mp4",
        timestamps,
        (0.0, 1.0),
        curves,
        attention,
        moments,
        [(0, 5_000_000, HOSTILE)],
        {"Model": "3"},
    )
    (folder / "page.html").write_text(render_page(video), encoding="utf-8")
    return folder


@pytest.fixture
def page(view, folder):
    view.goto((folder / "page.html").as_uri())
    wait_until(view, "document.getElementById('video').readyState > 0")
    return view


def test_values_are_shown_in_the_unit_of_the_labels(view, tmp_path):
    timestamps = np.arange(N_FRAMES, dtype=np.int64) * 1_000_000 // 6
    curves = {"valence": np.where(timestamps < 5_000_000, -40.0, 40.0), "arousal": np.full(N_FRAMES, 25.0)}
    video = PageVideo("-abc", "Affect", None, timestamps, (-100.0, 100.0), curves, {})
    (tmp_path / "page.html").write_text(render_page(video), encoding="utf-8")
    view.goto((tmp_path / "page.html").as_uri())
    assert view.locator("#chart").get_attribute("aria-valuetext") == "0:00.0, highest: arousal 25.0"
    if view.locator("#chart").bounding_box()["width"] >= 600:
        assert view.locator("[data-expression=valence]").inner_text() == "-40.0"
        assert view.locator("[data-expression='all together']").inner_text() == f"{40 / 2**0.5:.1f}"


def test_it_plays_and_the_cursor_follows(page):
    before = page.evaluate("parseFloat(document.getElementById('cursor').style.left)")
    page.evaluate("document.getElementById('video').play()")
    wait_until(page, "document.getElementById('video').currentTime > 0.6")
    assert page.evaluate("parseFloat(document.getElementById('cursor').style.left)") > before
    assert page.inner_text("#clock") != "0:00.0"


def test_a_click_on_the_curves_seeks(page):
    box = page.locator("#chart").bounding_box()
    wide = box["width"] >= 600
    left, right = (119, 47) if wide else (1, 1)
    at = box["x"] + left + (box["width"] - left - right) * 0.5
    page.mouse.click(at, box["y"] + 60)
    assert current_time(page) == pytest.approx(5.0, abs=0.1)
    cursor = page.locator("#cursor").bounding_box()
    assert cursor["x"] + cursor["width"] / 2 == pytest.approx(at, abs=3)


def test_a_click_on_the_line_of_all_curves_seeks_too_and_it_stays_when_all_are_off(page):
    page.get_by_role("button", name="none", exact=True).click()
    box = page.locator("#chart").bounding_box()
    left, right = (119, 47) if box["width"] >= 600 else (1, 1)
    page.mouse.click(box["x"] + left + (box["width"] - left - right) * 0.3, box["y"] + 30)
    assert current_time(page) == pytest.approx(3.0, abs=0.1)
    lit = page.evaluate(
        """() => {
          const surface = document.getElementById('lanes'), ratio = window.devicePixelRatio;
          const pixels = surface.getContext('2d').getImageData(surface.width / 2, 0, 1, 39 * ratio).data;
          return pixels.some((value, i) => i % 4 === 3 && value > 0);
        }"""
    )
    assert lit


def test_a_moment_seeks_to_its_peak_and_is_marked(page):
    page.locator(".moment").first.click()
    assert current_time(page) == pytest.approx(3.0, abs=0.05)
    assert page.locator(".moment").first.get_attribute("aria-current") == "true"
    assert page.locator(".moment").nth(1).get_attribute("aria-current") == "false"
    assert page.locator(".moment img").first.evaluate("image => image.naturalWidth") == 64


def test_a_moment_says_what_raised_and_what_lowered_the_curve(page):
    why = page.locator(".moment .why")
    assert why.first.inner_text().split() == ["sound", "\N{MINUS SIGN}0.070", "picture", "+0.030"]
    track = page.locator(".moment .track").first.bounding_box()
    lowers, raises = (page.locator(f".moment .{kind}").first.bounding_box() for kind in ("lowers", "raises"))
    middle = track["x"] + track["width"] / 2
    assert lowers["x"] + lowers["width"] == pytest.approx(middle, abs=1)
    assert raises["x"] == pytest.approx(middle, abs=1)
    assert lowers["width"] / raises["width"] == pytest.approx(7 / 3, rel=0.15)
    # What rounds to nothing has no bar.
    assert why.nth(1).inner_text().split() == ["picture", "+0.200"]


def test_attention_is_a_detail(page):
    assert not page.locator("#shares").is_visible()
    page.get_by_text("Attention", exact=True).click()
    wait_until(page, "document.getElementById('shares').getBoundingClientRect().height === 60")
    assert page.locator("#legend").inner_text().split() == ["image", "audio"]
    # The first share of the stack is at the bottom, the second above.
    colours = page.evaluate(
        """() => {
          const surface = document.getElementById('shares'), context = surface.getContext('2d');
          return [5, 55].map((y) => [...context.getImageData(surface.width / 2, y * surface.height / 60, 1, 1).data]);
        }"""
    )
    assert colours == [[230, 159, 0, 255], [0, 114, 178, 255]]


def test_expressions_switch_off_and_on(page):
    height = page.locator("#chart").bounding_box()["height"]
    page.get_by_label("amusement").uncheck()
    assert page.locator("#chart").bounding_box()["height"] < height
    page.get_by_role("button", name="none", exact=True).click()
    assert not page.get_by_label("triumph").is_checked()
    page.get_by_role("button", name="all", exact=True).click()
    assert page.locator("#chart").bounding_box()["height"] == height


def test_the_keyboard_seeks_and_jumps_between_moments(page):
    page.locator("#chart").focus()
    page.keyboard.press("ArrowRight")
    assert current_time(page) == pytest.approx(1.0, abs=0.05)
    page.keyboard.press("n")
    assert current_time(page) == pytest.approx(3.0, abs=0.05)
    page.keyboard.press("n")
    page.keyboard.press("p")
    assert current_time(page) == pytest.approx(3.0, abs=0.05)
    page.keyboard.press("End")
    assert current_time(page) == pytest.approx(10.0, abs=0.05)
    assert page.locator("#chart").get_attribute("aria-valuenow") == "10.0"


def test_hostile_titles_and_captions_show_as_text(page):
    assert page.locator("h1").inner_text() == HOSTILE
    assert page.locator("#caption").inner_text() == HOSTILE
    assert HOSTILE in page.locator(".moment").nth(1).inner_text()
    assert page.evaluate("document.body.dataset.broken") is None


def test_nothing_is_wider_than_the_window(page):
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
