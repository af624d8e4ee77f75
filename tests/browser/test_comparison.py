"""The page of two cuts of a rendered film, in a real browser."""

import pytest
from page_tools import wait_until
from recut import recut

from mgn_ma.execution import ExecutionConfig
from mgn_ma.inference.videos import VideoInput, VideoSettings
from mgn_ma.reporting.comparison import compare_predictions

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def folder(bundle, films, tmp_path_factory):
    """B lacks what A has from 1 s to 2.2 s, and has a second of another film after 2.8 s of A."""
    folder = tmp_path_factory.mktemp("compared")
    film, other = sorted(films.glob("*.mp4"))
    cut = recut(folder / "cut.mp4", [(film, 0, 1.0), (film, 2.2, 2.8), (other, 0, 1.0), (film, 2.8, 99)])
    videos = [VideoInput("A film", str(film)), VideoInput("a cut", str(cut))]
    compare_predictions([(bundle, "model")], videos, VideoSettings(), ExecutionConfig(), folder)
    return folder


@pytest.fixture
def page(view, folder):
    view.goto((folder / "comparison.html").as_uri())
    for k in (0, 1):
        wait_until(view, f"document.getElementById('video-{k}').readyState > 0")
    return view


def times(page):
    """Where both videos stand, once they have got there."""
    for k in (0, 1):
        wait_until(page, f"!document.getElementById('video-{k}').seeking")
    return [page.evaluate(f"document.getElementById('video-{k}').currentTime") for k in (0, 1)]


def test_both_videos_stand_at_the_same_picture(page):
    page.get_by_role("button", name="both: A 0:02.20").click()
    assert times(page) == pytest.approx([2.2, 1.0], abs=0.03)
    page.locator("#chart").focus()
    page.keyboard.press("Home")
    assert times(page) == pytest.approx([0, 0], abs=0.03)
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    of_a, of_b = times(page)
    assert of_a - of_b == pytest.approx(0.2, abs=0.03)
    same = page.evaluate(
        """() => {
          const shot = (video) => {
            const canvas = document.createElement('canvas'); canvas.width = 16; canvas.height = 12;
            const context = canvas.getContext('2d'); context.drawImage(video, 0, 0, 16, 12);
            return context.getImageData(0, 0, 16, 12).data;
          };
          const [a, b] = [0, 1].map((k) => shot(document.getElementById(`video-${k}`)));
          return a.reduce((sum, value, i) => sum + Math.abs(value - b[i]), 0) / a.length;
        }"""
    )
    assert same < 12


def test_where_one_lacks_a_passage_it_waits_at_the_cut(page):
    page.get_by_role("button", name="only in A").click()
    page.locator("#chart").focus()
    page.keyboard.press("ArrowRight")
    assert times(page) == pytest.approx([2.0, 1.0], abs=0.03)
    assert page.locator("#chart").get_attribute("aria-valuetext") == "A 0:02.0, B 0:01.0, only in A"
    page.get_by_role("button", name="only in B").click()
    page.locator("#chart").focus()
    assert times(page) == pytest.approx([2.8, 1.6], abs=0.03)
    page.keyboard.press("ArrowRight")
    assert times(page) == pytest.approx([2.8, 2.6], abs=0.03)


def test_the_playing_video_leads(page):
    page.evaluate("document.getElementById('video-1').play()")
    wait_until(page, "document.getElementById('video-1').currentTime > 1.2")
    page.evaluate("document.getElementById('video-1').pause()")
    wait_until(page, "document.getElementById('video-0').currentTime > 2.2")
    of_a, of_b = times(page)
    assert of_a == pytest.approx(min(of_b + 1.2, 2.8), abs=0.1)


def test_differences_are_shown_with_their_interval(page):
    page.locator("#chart").focus()
    page.keyboard.press("ArrowRight")
    page.locator("#show-differences").check()
    if page.locator("#chart").bounding_box()["width"] >= 600:
        # At 1 s begins what only A has.
        assert page.locator(".pair-values").first.inner_text() == ""
        page.locator("#chart").focus()
        page.keyboard.press("Home")
        assert "±" in page.locator(".pair-values").first.inner_text()
    # The zero line goes through the band of the first lane.
    lit = page.evaluate(
        """() => {
          const surface = document.getElementById('lanes');
          const pixels = surface.getContext('2d').getImageData(surface.width * 0.2, 26, 1, 40).data;
          return pixels.filter((value, i) => i % 4 === 3 && value > 0).length;
        }"""
    )
    assert lit > 3


def test_a_click_on_the_table_goes_to_where_both_are_furthest_apart(page):
    button = page.locator("[data-row]").first
    at = float(button.inner_text().rpartition(":")[2])
    button.click()
    assert times(page)[0] == pytest.approx(at, abs=0.03)


def test_nothing_is_wider_than_the_window(page):
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
