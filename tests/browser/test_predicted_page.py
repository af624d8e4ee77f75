"""The pages of really predicted videos, in a real browser: from a rendered film to what a reader sees and does."""

import av
import numpy as np
import pytest
from page_tools import HOSTILE, current_time, wait_until

from mgn_ma.execution import ExecutionConfig
from mgn_ma.inference.moments import MomentsConfig
from mgn_ma.inference.videos import VideoInput
from mgn_ma.reporting.prediction import PredictionSettings, predict_videos, write_tables
from mgn_ma.reporting.prediction_page import PageSettings

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def folder(bundle, films, tmp_path_factory):
    """One film with its video inside the page, and one with it beside, both hostile in every text; and a failure."""
    folder = tmp_path_factory.mktemp("predicted")
    captions = folder / "hostile.vtt"
    captions.write_text(f"WEBVTT\n\n00:00.000 --> 01:00.000\n{HOSTILE.replace('<', '&lt;').replace('>', '&gt;')}\n")
    first, second = sorted(films.glob("*.mp4"))
    moments = MomentsConfig(min_height_sigmas=0.5, min_height=0.0, smoothing_us=0)
    for name, path, settings in (
        ("beside", second, PageSettings(embed_up_to_mib=0)),
        ("inside", first, PageSettings()),
    ):
        videos = [VideoInput(f"{name} {HOSTILE}", str(path), str(captions), HOSTILE), VideoInput("gone", "gone.mp4")]
        tables = predict_videos(
            bundle,
            videos,
            PredictionSettings(moments=moments, page=settings),
            execution=ExecutionConfig(),
            tracks=folder / ".tracks",
            pages=folder,
            model=f"mgn-ma version 1 {HOSTILE}",
        )
    write_tables(tables, folder)
    return folder


def _open(view, folder, name):
    (path,) = (folder / "pages").glob(f"{name}-*.html")
    view.goto(path.as_uri())
    wait_until(view, "document.getElementById('video').readyState > 0")


def test_a_predicted_video_plays_seeks_switches_and_shows_its_moments(view, folder):
    _open(view, folder, "inside")
    assert view.evaluate("document.getElementById('video').videoWidth") > 100
    view.evaluate("document.getElementById('video').play()")
    wait_until(view, "document.getElementById('video').currentTime > 0.4")
    view.evaluate("document.getElementById('video').pause()")
    moment = view.locator(".moment").nth(1)
    moment.click()
    peak = view.evaluate("JSON.parse(document.getElementById('data').textContent).moments[1].peak_us / 1e6")
    assert current_time(view) == pytest.approx(peak, abs=0.05)
    assert moment.get_attribute("aria-current") == "true"
    # The picture is the frame that the video shows now.
    picture = moment.locator("img")
    assert picture.evaluate("image => Math.max(image.naturalWidth, image.naturalHeight)") == 320
    same = view.evaluate(
        """() => {
          const shot = (source) => {
            const canvas = document.createElement('canvas'); canvas.width = 16; canvas.height = 12;
            const context = canvas.getContext('2d'); context.drawImage(source, 0, 0, 16, 12);
            return context.getImageData(0, 0, 16, 12).data;
          };
          const [a, b] = [shot(document.getElementById('video')), shot(document.querySelectorAll('.moment img')[1])];
          return a.reduce((sum, value, i) => sum + Math.abs(value - b[i]), 0) / a.length;
        }"""
    )
    assert same < 12
    # Its lower end in sight: the upper one may lie under the video, which stays on top.
    view.evaluate("document.getElementById('chart').scrollIntoView({block: 'end'})")
    box = view.locator("#chart").bounding_box()
    view.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] - 60)
    assert current_time(view) == pytest.approx(2.1, abs=0.6)
    view.get_by_label("amusement").uncheck()
    assert view.locator("#chart").bounding_box()["height"] < box["height"]
    assert view.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_hostile_texts_of_a_predicted_video_show_as_text(view, folder):
    _open(view, folder, "beside")
    assert view.locator("h1").inner_text() == HOSTILE
    assert view.locator("#caption").inner_text() == HOSTILE
    assert HOSTILE in view.locator(".moment").first.inner_text()
    assert HOSTILE in view.locator(".facts").inner_text()
    assert "whole video" in view.locator(".moment .why").first.inner_text()
    view.get_by_role("link", name="All videos").click()
    assert view.locator(".index li").count() == 2
    assert "not predicted: no such file" in view.locator(".index").inner_text()
    view.locator(".index a").click()
    assert view.locator("h1").inner_text() == HOSTILE
    assert view.evaluate("document.body.dataset.broken") is None


def test_a_script_that_gets_into_a_page_does_not_run(browser, folder):
    for place in (folder / "index.html", *(folder / "pages").glob("inside-*.html")):
        page, said = browser.new_page(), []
        page.on("console", lambda message, said=said: said.append(message.text))
        page.goto(place.as_uri())
        broken = "document.body.dataset.broken = 'yes'"
        page.evaluate(f"document.body.append(Object.assign(document.createElement('script'), {{text: \"{broken}\"}}))")
        assert page.evaluate("document.body.dataset.broken") is None
        assert any("Content Security Policy" in line for line in said)
        page.close()


def test_a_video_that_is_not_there_is_said_and_the_rest_works(browser, folder, tmp_path):
    (path,) = (folder / "pages").glob("beside-*.html")
    (tmp_path / "page.html").write_text(path.read_text())
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    wait_until(page, "!document.getElementById('unplayable').hidden")
    page.locator(".moment").first.click()
    assert page.inner_text("#clock") != ""
    page.close()


def test_a_picture_that_the_browser_cannot_decode_is_said_and_the_file_offered(browser, bundle, tmp_path):
    write_hevc(tmp_path / "film.mp4", seconds=2)
    tables = predict_videos(
        bundle,
        [VideoInput("film", str(tmp_path / "film.mp4"))],
        PredictionSettings(page=PageSettings(embed_up_to_mib=0)),
        execution=ExecutionConfig(),
        tracks=tmp_path / ".tracks",
        pages=tmp_path,
        model="mgn-ma version 1",
    )
    assert tables.account["status"].tolist() == ["predicted"]
    (path,) = (tmp_path / "pages").glob("*.html")
    page = browser.new_page()
    page.goto(path.as_uri())
    wait_until(page, "!document.getElementById('unplayable').hidden")
    assert page.get_attribute("#file", "href") == (tmp_path / "pages" / path.name.replace(".html", ".mp4")).as_uri()
    page.close()


def write_hevc(path, seconds):
    """A grey film in HEVC, which Chromium has no decoder for, with sound that it plays."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx265", rate=10, options={"x265-params": "log-level=none"})
        picture.width, picture.height, picture.pix_fmt = 128, 96, "yuv420p"
        sound = container.add_stream("aac", rate=16_000, layout="mono")
        for k in range(10 * seconds):
            image = np.full((96, 128, 3), 10 * k, np.uint8)
            container.mux(picture.encode(av.VideoFrame.from_ndarray(image)))
        samples = np.zeros((1, 16_000 * seconds), np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16_000, 0
        container.mux(sound.encode(frame))
        for stream in (picture, sound):
            container.mux(stream.encode())
