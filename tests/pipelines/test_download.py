"""The download pipeline against a local HTTP server, through yt-dlp's generic extractor. Nothing leaves the machine."""

from __future__ import annotations

import ast
import importlib.util
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from pydantic import ValidationError

from mgn_ma.datasets.media_folder import MediaFolderDataset
from mgn_ma.eev.annotations import AnnotationError
from mgn_ma.eev.video_ids import VideoIdError
from mgn_ma.media import download as module
from mgn_ma.media.download import DownloadConfig, MissingToolError, _fetch_beside, fetch_missing, is_gone
from mgn_ma.media.download_records import PRESENT, Outcome, Part, read_outcomes
from mgn_ma.media.folder import MediaFolder, read_info
from mgn_ma.pipelines.download import create_pipeline
from mgn_ma.pipelines.download.nodes import list_wanted

pytest.importorskip("yt_dlp")

ROOT = Path(__file__).parents[2]
REMOVED = (410, "This video has been removed by the uploader")
PARTS = ["status", "reason", "captions", "captions_reason", "info", "info_reason"]
CAPTIONS = "WEBVTT\n\n00:00.000 --> 00:01.000\nhello\n"


def load_clips() -> Any:
    spec = importlib.util.spec_from_file_location("media_clips", ROOT / "tests" / "media" / "media_clips.py")
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules.setdefault("media_clips", loaded)
    spec.loader.exec_module(loaded)
    return loaded


class Site(ThreadingHTTPServer):
    """Pages with a video and captions, as an HTML5 site has them; ``status`` makes a page fail."""

    def __init__(self, clip: bytes) -> None:
        super().__init__(("127.0.0.1", 0), partial(Handler, self))
        self.clip = clip
        self.status: dict[str, int | tuple[int, str]] = {}
        self.captions: dict[str, tuple[int, str]] = {}
        self.cut: set[str] = set()
        self.hostile: str | None = None
        self.asked: Counter[str] = Counter()
        self.ranges: list[str | None] = []

    @property
    def url_template(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/watch/{{video_id}}"


class Handler(BaseHTTPRequestHandler):
    def __init__(self, site: Site, *args: Any) -> None:
        self.site = site
        super().__init__(*args)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        kind, _, name = self.path.strip("/").partition("/")
        if kind == "watch":
            if self.command == "GET":
                self.site.asked[name] += 1
            page = (
                f"<html><head><title>Video {name}</title></head><body><video src='/file/{name}.mp4'>"
                f"<track kind='subtitles' srclang='en' src='/track/{name}.vtt'></video></body></html>"
            )
            self.answer(page.encode(), "text/html", self.site.status.get(name, 200))
        elif kind == "file":
            self.file(name.removesuffix(".mp4"))
        else:
            status, captions = self.site.captions.get(name.removesuffix(".vtt"), (200, CAPTIONS))
            self.answer(captions.encode(), "text/vtt", status)

    def file(self, name: str) -> None:
        if self.site.hostile is not None:
            return self.trouble(self.site.hostile)
        wanted = self.headers.get("Range")
        self.site.ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else 0
        body = self.site.clip[start:]
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Type", "video/mp4")
        self.send_header("Content-Length", str(len(body)))
        if wanted:
            total = len(self.site.clip)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[: len(body) // 2] if name in self.site.cut else body)
        return None

    def trouble(self, kind: str) -> None:
        """A file that has no end, comes a byte at a time, is shorter than announced, or is elsewhere."""
        self.send_response(302 if "://" in kind else 200)
        self.send_header("Location" if "://" in kind else "Content-Type", kind if "://" in kind else "video/mp4")
        if kind == "short":
            self.send_header("Content-Length", str(len(self.site.clip) + 5))
        self.end_headers()
        if self.command == "HEAD" or "://" in kind:
            return
        with suppress(OSError):
            self.wfile.write(self.site.clip)
            while kind != "short":
                self.wfile.write(bytes(65536) if kind == "endless" else b"x" * 256)
                time.sleep(0.1 if kind == "slow" else 0)

    def answer(self, body: bytes, kind: str, status: int | tuple[int, str] = 200) -> None:
        self.send_response(*(status if isinstance(status, tuple) else (status,)))
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    clip = load_clips().Clip(n_frames=20, rate=10).write(tmp_path / "clip.mp4").read_bytes()
    with Site(clip) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def settings(site: Site, **changes: Any) -> DownloadConfig:
    return DownloadConfig(url_template=site.url_template, pause_seconds=(0, 0), tries=1, **changes)


def fetch_all(site: Site, folder: Path, *ids: str, **changes: Any) -> dict[str, tuple[str, str]]:
    outcomes = fetch_parts(site, folder, *ids, **changes)
    return {video_id: (outcome.video.status, outcome.video.reason) for video_id, outcome in outcomes.items()}


def fetch_parts(site: Site, folder: Path, *ids: str, **changes: Any) -> dict[str, Outcome]:
    folder.mkdir(exist_ok=True)
    fetch_missing(ids, folder, settings(site, **changes), sleep=lambda _: None)
    return {outcome.video_id: outcome for outcome in read_outcomes(ids, MediaFolder(str(folder)))}


def test_the_pipeline_fetches_and_accounts(site: Site, tmp_path: Path) -> None:
    site.status |= {"gone": REMOVED, "broken": 404}
    catalog = DataCatalog(
        {
            "annotations_train": MemoryDataset(pd.DataFrame({"YouTube ID": ["-a_b", "-a_b", "gone"]})),
            "annotations_validation": MemoryDataset(pd.DataFrame({"YouTube ID": ["broken"]})),
            "annotations_test": MemoryDataset(pd.DataFrame({"Video ID": ["0012"]})),
            "raw_videos": MediaFolderDataset(str(tmp_path / "videos")),
            "params:download": MemoryDataset(settings(site)),
            "raw_videos_folder": MemoryDataset(str(tmp_path / "videos")),
            "download_account": MemoryDataset(),
        }
    )
    SequentialRunner().run(create_pipeline(), catalog)
    account = catalog.load("download_account")
    assert account.columns.tolist() == ["video_id", "split", *PARTS]
    assert account["video_id"].tolist() == ["-a_b", "gone", "broken", "0012"]
    assert account["split"].tolist() == ["train", "train", "validation", "test"]
    assert account["status"].tolist() == ["present", "unavailable", "failed", "present"]
    assert account["captions"].tolist() == account["info"].tolist() == ["present", "not tried", "not tried", "present"]
    assert "removed by the uploader" in account["reason"][1]
    assert "404" in account["reason"][2]
    files = catalog.load("raw_videos").files("-a_b")
    assert files.video_path == str(tmp_path / "videos" / "-a_b.mp4")
    assert Path(files.video_path).read_bytes() == site.clip
    assert "hello" in Path(files.captions[0].path).read_text()
    assert files.info_path is not None
    assert (read_info(files.info_path).title or "").startswith("Video -a_b")


def test_a_second_run_asks_only_for_what_may_still_come(site: Site, tmp_path: Path) -> None:
    site.status |= {"gone": REMOVED, "broken": 500}
    first = fetch_all(site, tmp_path / "v", "a", "gone", "broken")
    assert [status for status, _ in first.values()] == ["present", "unavailable", "failed"]
    site.asked.clear()
    site.status["broken"] = 200
    second = fetch_all(site, tmp_path / "v", "a", "gone", "broken")
    assert [status for status, _ in second.values()] == ["present", "unavailable", "present"]
    assert set(site.asked) == {"broken"}
    site.status["gone"] = 200
    assert fetch_all(site, tmp_path / "v", "gone", retry_unavailable=True)["gone"] == ("present", "")


def test_a_transfer_that_was_cut_goes_on_where_it_stopped(site: Site, tmp_path: Path) -> None:
    site.cut.add("a")
    status, reason = fetch_all(site, tmp_path / "v", "a")["a"]
    assert status == "failed"
    assert reason
    assert not (tmp_path / "v" / "a.mp4").exists()
    site.cut.clear()
    site.ranges.clear()
    assert fetch_all(site, tmp_path / "v", "a")["a"] == ("present", "")
    assert (tmp_path / "v" / "a.mp4").read_bytes() == site.clip
    assert site.ranges == ["bytes=1024-"]


@pytest.mark.parametrize(
    ("hostile", "limits", "reason"),
    [
        ("endless", {"max_mib": 2}, "larger than 2 MiB"),
        ("slow", {"max_seconds": 0.5}, "longer than 0.5 s"),
        ("short", {}, ""),
        ("file:///etc/passwd", {}, ""),
        ("http://127.0.0.1:9/a.mp4", {}, ""),
    ],
)
def test_a_hostile_server_costs_one_video(
    site: Site, tmp_path: Path, hostile: str, limits: dict[str, Any], reason: str
) -> None:
    site.hostile = hostile
    status, said = fetch_all(site, tmp_path / "v", "a", **limits)["a"]
    assert status == "failed"
    assert said and reason in said
    assert [path.name for path in (tmp_path / "v").iterdir()] == [".download"]


def test_a_run_may_be_limited(site: Site, tmp_path: Path) -> None:
    outcomes = fetch_all(site, tmp_path / "v", "a", "b", "c", limit=2)
    assert [status for status, _ in outcomes.values()] == ["present", "present", "not tried"]


def test_a_server_that_refuses_is_left_alone(site: Site, tmp_path: Path) -> None:
    ids = [f"v{k}" for k in range(8)]
    site.status |= dict.fromkeys(ids, 503)
    outcomes = fetch_all(site, tmp_path / "v", *ids, give_up_after=3)
    assert Counter(status for status, _ in outcomes.values()) == {"failed": 3, "not tried": 5}


def test_a_run_of_gone_videos_stops_and_nothing_is_for_ever(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ids = [f"v{k}" for k in range(6)]
    site.status |= dict.fromkeys(ids, REMOVED)
    outcomes = fetch_all(site, tmp_path / "v", *ids, give_up_after=4)
    assert [status for status, _ in outcomes.values()] == ["unavailable"] * 4 + ["not tried"] * 2
    assert "download.retry_unavailable asks again" in caplog.text
    site.status.clear()
    assert set(fetch_all(site, tmp_path / "v", *ids, retry_unavailable=True).values()) == {("present", "")}


def test_a_wrong_address_makes_no_video_gone(site: Site, tmp_path: Path) -> None:
    ids = [f"v{k}" for k in range(6)]
    site.status |= dict.fromkeys(ids, 404)
    outcomes = fetch_all(site, tmp_path / "v", *ids, give_up_after=4)
    assert [status for status, _ in outcomes.values()] == ["failed"] * 4 + ["not tried"] * 2
    site.status.clear()
    assert set(fetch_all(site, tmp_path / "v", *ids).values()) == {("present", "")}


def test_videos_that_fail_always_keep_no_other_from_being_asked_for(site: Site, tmp_path: Path) -> None:
    ids = ["v0", "v1", "v2", "v3"]
    site.status |= dict.fromkeys(ids[:2], 404)
    fetch_all(site, tmp_path / "v", *ids, give_up_after=2)
    assert fetch_all(site, tmp_path / "v", *ids, give_up_after=2)["v3"] == ("present", "")


@pytest.mark.parametrize(("status", "body"), [(429, "Too Many Requests"), (404, "none"), (200, "")])
def test_captions_that_fail_cost_captions_only(site: Site, tmp_path: Path, status: int, body: str) -> None:
    site.captions["a"] = (status, body)
    outcome = fetch_parts(site, tmp_path / "v", "a", give_up_after=1)["a"]
    assert (outcome.video, outcome.info, outcome.captions.status) == (PRESENT, PRESENT, "failed")
    assert (str(status) if status != 200 else "Did not get any data") in outcome.captions.reason
    site.captions.clear()
    site.ranges.clear()
    assert fetch_parts(site, tmp_path / "v", "a")["a"] == Outcome("a", PRESENT, PRESENT, PRESENT)
    assert not site.ranges, "the video was asked for again"


def test_captions_that_a_video_lacks_are_no_failure(site: Site, tmp_path: Path) -> None:
    for _ in range(2):
        outcome = fetch_parts(site, tmp_path / "v", "a", caption_languages=("de",))["a"]
        assert outcome.captions == Part("none", "the video has none in the wanted languages")
    assert site.asked["a"] == 1


@pytest.mark.parametrize(
    ("uploaded", "automatic", "expected"),
    [
        ({"en", "de"}, {"en", "en-orig"}, "en.vtt written"),
        ({"en-GB", "fr"}, {"en", "en-orig", "en-fr"}, "en-GB.vtt written"),
        ({"fr"}, {"en", "en-orig", "en-fr"}, "en-orig.vtt made"),
        (set(), {"en", "de"}, "en.vtt made"),
        ({"fr"}, {"de"}, None),
    ],
)
def test_one_file_of_captions_is_fetched_and_what_somebody_wrote_comes_first(
    site: Site, tmp_path: Path, uploaded: set[str], automatic: set[str], expected: str | None
) -> None:
    def offered(languages: set[str], name: str) -> dict[str, Any]:
        url = site.url_template.replace("/watch/{video_id}", f"/track/{name}.vtt")
        return {language: [{"ext": "vtt", "url": url}] for language in sorted(languages)}

    for name in ("written", "made"):
        site.captions[name] = (200, CAPTIONS.replace("hello", name))
    video = site.url_template.replace("/watch/{video_id}", "/file/a.mp4")
    found = {"id": "a", "title": "A", "extractor": "x", "formats": [{"format_id": "0", "url": video, "ext": "mp4"}]}
    found |= {"subtitles": offered(uploaded, "written"), "automatic_captions": offered(automatic, "made")}
    captions, info = _fetch_beside("a", tmp_path, settings(site), found)
    assert (captions.status, info) == ("present" if expected else "none", PRESENT)
    written = {f"{path.name.removeprefix('a.')} {path.read_text().split()[-1]}" for path in tmp_path.glob("*.vtt")}
    assert written == ({expected} if expected else set())


def test_it_pauses_between_videos(site: Site, tmp_path: Path) -> None:
    pauses: list[float] = []
    config = settings(site).model_copy(update={"pause_seconds": (2.0, 3.0)})
    (tmp_path / "v").mkdir()
    fetch_missing(["a", "b", "c"], tmp_path / "v", config, sleep=pauses.append)
    assert len(pauses) == 2
    assert all(2 <= pause <= 3 for pause in pauses)


def test_what_is_there_is_not_asked_for_and_needs_no_tool(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "a.mkv").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "yt_dlp", None)
    assert fetch_all(site, tmp_path / "v", "a")["a"] == ("present", "")
    with pytest.raises(MissingToolError, match=r"pip install 'mgn_ma\[download\]'"):
        fetch_all(site, tmp_path / "v", "b")


def test_a_file_that_is_deleted_is_fetched_again(site: Site, tmp_path: Path) -> None:
    fetch_all(site, tmp_path / "v", "a")
    (tmp_path / "v" / "a.mp4").unlink()
    assert fetch_all(site, tmp_path / "v", "a")["a"] == ("present", "")


def test_importing_the_pipeline_needs_no_yt_dlp() -> None:
    for path in [Path(module.__file__), *(ROOT / "src/mgn_ma/pipelines/download").glob("*.py")]:
        imported = {
            name.split(".")[0]
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names])
        }
        assert "yt_dlp" not in imported


@pytest.mark.parametrize(
    ("reason", "gone"),
    [
        ("[youtube] x: Private video. Sign in if you've been granted access to this video", True),
        ("[youtube] x: Video unavailable. This video is no longer available because the account was terminated", True),
        ("[youtube] x: Video unavailable. This video has been removed by the uploader", True),
        ("[youtube] x: Join this channel to get access to members-only content like this video", True),
        ("[youtube] x: This video is not available", False),
        ("[youtube] x: Video unavailable", False),
        ("[youtube] x: Sign in to confirm your age. This video may be inappropriate for some users", False),
        ("[youtube] x: The uploader has not made this video available in your country", False),
        ("Unable to download webpage: HTTP Error 404: Not Found", False),
        ("Unsupported URL: https://www.youtube.com/watch?v=x", False),
        ("[youtube] x: Sign in to confirm you're not a bot", False),
        ("[youtube] x: Video unavailable. This content isn't available, try again later. Rate-limited", False),
        ("Unable to download webpage: HTTP Error 429: Too Many Requests", False),
        ("Unable to download API page: timed out", False),
    ],
)
def test_which_reasons_are_final(reason: str, gone: bool) -> None:
    assert is_gone(reason) is gone


class TestSettings:
    def test_ids_are_quoted_in_addresses(self) -> None:
        assert DownloadConfig().url("-a_b") == "https://www.youtube.com/watch?v=-a_b"
        assert DownloadConfig().url("a&b=c/..") == "https://www.youtube.com/watch?v=a%26b%3Dc%2F.."

    @pytest.mark.parametrize(
        "changes", [{"url_template": "https://x"}, {"pause_seconds": (3, 2)}, {"max_height": 0}, {"proxy": "x"}]
    )
    def test_nonsense_is_refused(self, changes: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            DownloadConfig.model_validate(changes)

    def test_a_path_is_no_id(self) -> None:
        empty = pd.DataFrame({"YouTube ID": []})
        with pytest.raises(VideoIdError, match="path"):
            list_wanted(pd.DataFrame({"YouTube ID": ["../x"]}), empty, empty)
        with pytest.raises(AnnotationError, match="of validation: there is no column"):
            list_wanted(empty, pd.DataFrame({"id": ["x"]}), empty)
