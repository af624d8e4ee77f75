"""Tiny folders in the formats that other data sets are published in, with rendered films as their videos."""

import json
import shutil

import numpy as np

from mgn_ma.annotations.vce import EMOTIONS
from mgn_ma.sample.config import SampleConfig
from mgn_ma.sample.rendering import render_videos
from mgn_ma.sample.script import write_script

MOVIES = (*range(10), 54, 55)
"""Of MediaEval 2018: the test set begins with 54."""


def render(folder, count):
    """The files of films of four seconds and a bit, as many as wanted."""
    config = SampleConfig(videos=max(count, 5), shortest_seconds=4.0, longest_seconds=4.5, awkward=False)
    render_videos(write_script(config)[:count], folder, workers=1)
    return sorted(folder.glob("*.mp4"))


def mediaeval_2018(folder, films=()):
    """``folder`` with twelve movies' labels in the parts that they are published in, and the movies, from ``films``."""
    for place, number in enumerate(MOVIES):
        part = f"MEDIAEVAL18-{'TestSet' if number >= 54 else 'DevSet-Part1'}"
        labels = folder / f"{part}-Valence_Arousal-annotations/annotations"
        labels.mkdir(parents=True, exist_ok=True)
        times = np.arange(5)
        valence, arousal = np.sin(times + number), np.cos(2 * times + number)
        rows = [f"{time}\t{v:.6f}\t{a:.6f}" for time, v, a in zip(times, valence, arousal, strict=True)]
        text = "\n".join(["Time\tValence\tArousal", *rows, ""])
        (labels / f"MEDIAEVAL18_{number:02d}_Valence-Arousal.txt").write_text(text)
        if place < len(films):
            movies = folder / f"{part}-Data/data"
            movies.mkdir(parents=True, exist_ok=True)
            shutil.copy(films[place], movies / f"MEDIAEVAL18_{number:02d}.mp4")
    return folder


def vce(folder, films=(), clips=8):
    """``folder`` with labels of clips, the last two of them the test set, and the clips, from ``films``."""
    random = np.random.default_rng(0)
    names = [f"{number:05d}" for number in range(clips)]
    entries = {
        name: {
            "emotions": dict(zip(EMOTIONS, map(float, random.random(len(EMOTIONS))), strict=True)),
            "file": f"videos/{name}.mp4",
            "topK": [],
        }
        for name in names
    }
    (folder / "videos").mkdir(parents=True)
    for part, of_part in (("train", names[:-2]), ("test", names[-2:])):
        (folder / f"{part}_labels.json").write_text(json.dumps({name: entries[name] for name in of_part}))
    metadata = {name: {"duration": "4.000000", "file": f"videos/{name}.mp4"} for name in names}
    (folder / "metadata.json").write_text(json.dumps(metadata))
    for name, film in zip(names, films, strict=False):
        shutil.copy(film, folder / "videos" / f"{name}.mp4")
    return folder


def mr_hisum(folder, films=()):
    """``folder`` as the repository's ``dataset``, with three videos of training, one of validation and two of test."""
    import h5py

    folder.mkdir(parents=True, exist_ok=True)
    ids = ["-aaaaaaaaaa", "bbbbbbbbbbb", "ccccccccccc", "ddddddddddd", "eeeeeeeeeee", "fffffffffff"]
    names = [f"video_{number}" for number in range(1, 7)]
    rows = [f'{name},train0026,ORaA,{id_},4,84554,"[8, 11]"' for name, id_ in zip(names, ids, strict=True)]
    header = "video_id,yt8m_file,random_id,youtube_id,duration,views,labels"
    (folder / "metadata.csv").write_text("\n".join([header, *rows, ""]))
    split = {"train_keys": names[:3], "val_keys": names[3:4], "test_keys": names[4:]}
    (folder / "mr_hisum_split.json").write_text(json.dumps(split))
    with h5py.File(folder / "mr_hisum.h5", "w") as scores:
        for number, name in enumerate(names):
            scores[f"{name}/gtscore"] = np.array([0.0, 1.0, 0.25, number / 10])
            scores[f"{name}/change_points"] = np.array([[0, 3]])
    (folder / "videos").mkdir()
    for id_, film in zip(ids, films, strict=False):
        shutil.copy(film, folder / "videos" / f"{id_}.mp4")
    return folder
