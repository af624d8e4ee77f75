"""The watermark video through ingestion, extraction and packing: what serves a frame is what is there at its time."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pandas as pd
from counts import COMBINATIONS as WANTED
from tiny_project import make_project
from watermark import COMBINATIONS, CUE_US, Combination, read

from mgn_ma.datasets.packed_split import PackedSplitDataset
from mgn_ma.eev.targets import EEV
from mgn_ma.grid import grid_timestamps_us
from mgn_ma.training.packed import PackedSplit

STEPS = "ingestion,frame_features,clip_features,video_features,model_input"
SPLITS = {"train": "train", "val": "validation", "test": "test"}
MODALITIES = {
    "image": {"extractor": "watermark:PictureNumber"},
    "audio": {"extractor": "watermark:SoundTime"},
    "subtitle": {"extractor": "watermark:CueStart", "tolerance_us": 0},
    "action": None,
    "title": None,
    "video": None,
}
PATCH_US = 960_000
ROUNDING_US = 1_000
"""Matroska's and our cues' times are whole milliseconds, and float16 holds them to half a one."""


def test_what_serves_a_frame_is_what_is_there_at_its_time(
    run_here: Callable[..., None], empty_database: Path, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    chosen = {f"v{number:02}": name for number, name in enumerate(list(COMBINATIONS)[:WANTED])}
    project = make_project(tmp_path / "project", {"modalities": MODALITIES})
    shutil.copy(empty_database, project / "mlflow.db")
    raw = project / "data/sample/01_raw"
    leads_us = write_raw_data(raw, chosen)
    run_here(project, "--pipelines", STEPS)
    for split in SPLITS.values():
        packed = PackedSplitDataset(filepath=str(project / f"data/sample/05_model_input/{split}")).load()
        for number, video_id in enumerate(packed.video_ids):
            times, served = of_video(packed, number)
            name = chosen[video_id]
            assert list(times) == list(grid_of(name, leads_us[video_id])), name
            errors = errors_us(COMBINATIONS[name], leads_us[video_id], times, served)
            tell(f"{name}: " + ", ".join(f"{what} {error / 1000:.1f} ms" for what, error in errors.items()))
            half_a_frame_us = np.diff(COMBINATIONS[name].frame_times_us).mean() / 2
            assert max(errors.values()) <= half_a_frame_us + ROUNDING_US, name


def write_raw_data(folder: Path, chosen: dict[str, str]) -> dict[str, int]:
    """Videos, captions, and annotations of every frame, split in turn; the lead of each video."""
    (folder / "videos").mkdir(parents=True)
    (folder / "annotations").mkdir()
    leads_us, tables = {}, {split: [] for split in SPLITS}
    for number, (video_id, name) in enumerate(chosen.items()):
        leads_us[video_id] = lead_us(COMBINATIONS[name].write(folder / "videos", video_id))
        table = pd.DataFrame({"Timestamp (milliseconds)": grid_of(name, leads_us[video_id])})
        table.insert(0, "YouTube ID", video_id)
        tables[list(SPLITS)[number % len(SPLITS)]].append(table.assign(**dict.fromkeys(EEV.names, 0.5)))
    for split, of_split in tables.items():
        table = pd.concat(of_split)
        if split == "test":
            table = table.iloc[:, :2].rename(columns={"YouTube ID": "Video ID"})
        table.to_csv(folder / f"annotations/{split}.csv", index=False)
    return leads_us


def lead_us(path: Path) -> int:
    """How much before its first picture a file begins, as FFmpeg says: MPEG-TS, say, presents what primes its AAC."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        return round(float(video.start_time * video.time_base) * 1e6) - container.start_time


def grid_of(name: str, lead_us: int) -> npt.NDArray[np.int64]:
    return grid_timestamps_us(round(COMBINATIONS[name].frame_times_us[-1]) + lead_us)


def of_video(packed: PackedSplit, number: int) -> tuple[npt.NDArray[np.int64], dict[str, npt.NDArray[np.float64]]]:
    """Times of its frames, and by modality the number that serves each; NaN where none does."""
    frames = slice(packed.offsets[number], packed.offsets[number + 1])
    served = {}
    for column, name in enumerate(packed.modalities):
        rows = packed.index[frames, column]
        served[name] = np.where(rows >= 0, read(packed.matrices[name][rows]), np.nan)
    return packed.timestamps_us[frames], served


def errors_us(
    combination: Combination, lead_us: int, times: npt.NDArray[np.int64], served: dict[str, npt.NDArray[np.float64]]
) -> dict[str, float]:
    """The largest distance, by modality, of the time that serves a frame from the one that is right for it."""
    frame_times_us = combination.frame_times_us + lead_us
    shown, ends = frame_times_us[:-1], frame_times_us[1:]
    frames = served["image"].astype(int)
    late = np.where(times < shown[0], 0, shown[frames] - times)  # before the first frame the first one serves
    patches = times // PATCH_US
    heard_from = float(combination.clip.audio_start) * 1e6 + lead_us
    whole = (patches < (times[-1] - lead_us) // PATCH_US) & (patches * PATCH_US >= heard_from)
    errors = {
        "picture": np.maximum(late, times - ends[frames]).clip(min=0),
        "sound": np.abs(served["audio"] * 100 - ((patches + 0.5) * PATCH_US - lead_us))[whole],
        "cues": np.abs(served["subtitle"] * 1000 - times // CUE_US * CUE_US),
    }
    return {name: float(of_frames.max()) for name, of_frames in errors.items()}
