"""Takes the pictures of `docs/images` from a finished run of the sample; `make pictures` runs it.

`ablation.png` is not among them: it is `ablation.html` of 240 videos (docs/results.md).
"""

from __future__ import annotations

import http.server
import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Thread

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs/images"
SAMPLE = ROOT / "data/sample"
MODEL = "models:/mgn-ma@challenger"
VIDEO = SAMPLE / "01_raw/videos/-13jvu6GXLV.mp4"
BIN = Path(sys.executable).parent


def main() -> None:
    """Take all of them."""
    if not (SAMPLE / "08_reporting/figures.html").exists():
        sys.exit("there is no finished run of the sample to take pictures of: `make run` makes one")
    names = filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    chromium = next(names, None) or sys.exit("there is no Chromium to take pictures with: `make packages`")
    with sync_playwright() as session, tempfile.TemporaryDirectory() as folder:
        browser = session.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        take_figure(browser)
        take_pages(browser, Path(folder))
        take_viz(browser)
        take_mlflow(browser)
        take_site(browser)
        browser.close()


def take_figure(browser: Browser) -> None:
    """The curves of the example video."""
    page = browser.new_page(viewport={"width": 1180, "height": 1100})
    page.goto((SAMPLE / "08_reporting/figures.html").as_uri())
    page.wait_for_selector("#curves .gtitle")
    _keep(page.locator("#curves").screenshot(), "curves")
    page.close()


def take_pages(browser: Browser, folder: Path) -> None:
    """The page of a predicted video, at the start of a moment, and that of two cuts."""
    sys.path.insert(0, str(ROOT / "tests/support"))
    from recut import recut

    _run("mgn-ma", "predict", "-o", folder / "predicted", "--model", MODEL, "--", VIDEO)
    cut = recut(folder / "cut.mp4", [(VIDEO, 0, 4), (VIDEO, 7, 15)])
    _run("mgn-ma", "compare", "-o", folder / "compared", "--model", MODEL, "--", VIDEO, cut)
    (predicted,) = (folder / "predicted/pages").glob("*.html")
    for name, path in ("prediction", predicted), ("comparison", folder / "compared/comparison.html"):
        page = browser.new_page(viewport={"width": 960, "height": 900})
        page.goto(path.as_uri())
        page.wait_for_timeout(1000)
        moments = page.locator(".moment")
        if moments.count():
            moments.nth(2).click()
            page.evaluate("scrollTo(0, 0)")  # where the video stays in sight, it would cover the moments
        page.wait_for_timeout(1000)
        _keep(page.screenshot(full_page=True), name)
        page.close()


def take_viz(browser: Browser) -> None:
    """The chain as Kedro-Viz opens it, and one of its stages."""
    _run("kedro", "viz", "build", KEDRO_ENV="sample")
    with _served(ROOT / "build") as address:
        _take(browser, f"{address}/?types=nodes", "kedro_viz", close=".feature-hints__close")
        one = f"{address}/?pid=frame_features&expandAllPipelines=true"
        _take(browser, one, "kedro_viz_frame_features", close=".feature-hints__close")


def take_mlflow(browser: Browser) -> None:
    """The scores of all runs beside each other, in MLflow."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [BIN / "mlflow", "ui", "--port", str(port), "--backend-store-uri", f"sqlite:///{ROOT}/mlflow.db"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_environment())
    try:
        _wait_for(address)
        charts = f"{address}/#/experiments/1/runs?compareRunsMode=CHART"
        _take(browser, charts, "mlflow", close='[aria-label="Close"]', search="^validation/")
    finally:
        server.terminate()
        server.wait()


def take_site(browser: Browser) -> None:
    """This documentation."""
    subprocess.run([sys.executable, "docs/parameters.py"], cwd=ROOT, check=True)
    subprocess.run([BIN / "zensical", "build", "--strict"], cwd=ROOT, check=True)
    with _served(ROOT / "site") as address:
        _take(browser, address, "site")


def _take(browser: Browser, address: str, name: str, *, close: str | None = None, search: str | None = None) -> None:
    """A picture of an address, what it greets with closed, and of MLflow's charts those that are searched for."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(address)
    page.wait_for_timeout(6000)  # MLflow never stops asking, so that there is nothing to wait for
    if close and page.locator(close).count():
        page.locator(close).first.click()
    if search:
        page.get_by_placeholder("Search metric charts").fill(search)
    page.wait_for_timeout(4000)  # what is drawn moves into its place
    _keep(page.screenshot(), name)
    page.close()


def _keep(png: bytes, name: str) -> None:
    """With 256 colours, which takes a third of the room."""
    Image.open(io.BytesIO(png)).convert("RGB").quantize(256).save(IMAGES / f"{name}.png", optimize=True)


def _environment(**more: str) -> dict[str, str]:
    """The commands of this environment are found by those that they start."""
    return os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"} | more


def _run(command: str, *arguments: str | Path, **environment: str) -> None:
    subprocess.run([BIN / command, *map(str, arguments)], cwd=ROOT, env=_environment(**environment), check=True)


def _wait_for(address: str) -> None:
    for _ in range(120):
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.5)
    sys.exit(f"{address} does not answer within a minute")


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    class Silent(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


if __name__ == "__main__":
    main()
