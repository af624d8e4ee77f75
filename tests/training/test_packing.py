"""Packing against a frame-by-frame reading of the tracks, and what becomes of it when it is interrupted."""

from __future__ import annotations

import logging
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgn_ma.eev.errors import FrameTableError
from mgn_ma.eev.targets import EEV, Targets
from mgn_ma.features.track import TrackError
from mgn_ma.training.errors import TrainingError
from mgn_ma.training.packed import PackedSplit, check_modalities
from mgn_ma.training.packing import PackPlan, pack

Plans = Callable[..., PackPlan]


def serving_row(starts: np.ndarray, ends: np.ndarray, t: int, tolerance_us: int) -> int:
    """One frame, one track: the latest-starting row that holds, else the nearest within the tolerance, else -1."""
    holding = [i for i in range(len(starts)) if starts[i] <= t < ends[i]]
    if holding:
        return holding[-1]
    gaps = [t - (ends[i] - 1) if t >= ends[i] else starts[i] - t for i in range(len(starts))]
    if not gaps or min(gaps) > tolerance_us:
        return -1
    return gaps.index(min(gaps))


def test_every_frame_points_at_the_vector_that_serves_it(plan_of: Plans, tmp_path: Path) -> None:
    plan = plan_of(7)
    split = pack(plan, tmp_path / "train")
    n_absent = 0
    for column, (name, tracks) in enumerate(plan.tracks.items()):
        for frame, (video_id, t) in enumerate(zip(plan.frames["video_id"], plan.frames["timestamp_us"], strict=True)):
            pointer = split.index[frame, column]
            rows = tracks.rows.get(video_id)  # type: ignore[attr-defined]
            row = -1 if rows is None else serving_row(rows.timestamps_us, rows.ends_us, t, plan.tolerances_us[name])
            assert (pointer < 0) == (row < 0)
            n_absent += pointer < 0
            if row >= 0:
                np.testing.assert_array_equal(
                    split.matrices[name][pointer], rows.vectors[row].astype(np.float16), err_msg=f"{name} {frame}"
                )
    assert n_absent > 50, "the plan must have absent modalities for this test to mean something"
    np.testing.assert_array_equal(split.labels, plan.frames[list(EEV.names)].to_numpy(np.float32))
    np.testing.assert_array_equal(split.timestamps_us, plan.frames["timestamp_us"])
    assert list(split.video_ids) == list(plan.frames["video_id"].unique())
    assert split.offsets[-1] == split.n_frames == len(plan.frames)


def test_rows_are_stored_once_and_only_if_a_frame_points_at_them(plan_of: Plans, tmp_path: Path) -> None:
    split = pack(plan_of(5), tmp_path / "train")
    for column, matrix in enumerate(split.matrices.values()):
        pointers = split.index[:, column]
        assert set(pointers[pointers >= 0].tolist()) == set(range(len(matrix)))
    assert len(split.matrices["video"]) == 5
    assert len(split.matrices["audio"]) < split.n_frames / 4


def test_a_split_without_labels(plan_of: Plans, tmp_path: Path) -> None:
    split = pack(plan_of(2, split="test", labelled=False), tmp_path / "test")
    assert split.labels is None
    with pytest.raises(TrainingError, match="test split has no labels"):
        split.face_frames()


def test_a_modality_that_no_video_of_the_split_has_is_absent_everywhere(plan_of: Plans, tmp_path: Path) -> None:
    plan = plan_of(2)
    plan.tracks["subtitle"].headers.clear()  # type: ignore[attr-defined]
    split = pack(plan, tmp_path / "train")
    assert (split.index[:, 2] == -1).all()
    assert split.matrices["subtitle"].shape == (0, 4)


def test_face_frames_are_those_with_any_label(plan_of: Plans, tmp_path: Path) -> None:
    plan = plan_of(4)
    expected = np.flatnonzero((plan.frames[list(EEV.names)] > 0).any(axis=1))
    np.testing.assert_array_equal(pack(plan, tmp_path / "train").face_frames(), expected)


def test_an_equal_plan_is_not_packed_again_and_another_is(plan_of: Plans, tmp_path: Path) -> None:
    plan = plan_of(3)
    first = pack(plan, tmp_path / "train")
    again = plan_of(3)
    assert pack(again, tmp_path / "train").description == first.description
    assert all(tracks.reads <= 1 for tracks in again.tracks.values())  # type: ignore[attr-defined]
    changed = replace(plan, frames=plan.frames.assign(anger=0.25))
    assert pack(changed, tmp_path / "train").description.fingerprint != first.description.fingerprint
    assert np.all(PackedSplit(tmp_path / "train").labels[:, 1] == 0.25)  # type: ignore[index]


@pytest.mark.parametrize("what", ["fingerprint", "tolerance", "source", "timestamp"])
def test_the_fingerprint_covers_everything_that_is_packed(plan_of: Plans, what: str) -> None:
    plan, other = plan_of(3), plan_of(3)
    assert plan.fingerprint() == other.fingerprint()
    if what == "fingerprint":
        other.tracks["audio"].fingerprint = "e" * 64  # type: ignore[misc]
    elif what == "tolerance":
        other = replace(other, tolerances_us={**other.tolerances_us, "audio": 1})
    elif what == "source":
        headers = other.tracks["image"].headers
        first = next(iter(headers))
        headers[first] = replace(headers[first], source_digest="other")  # type: ignore[index]
    else:
        other.frames.loc[0, "timestamp_us"] += 1
    assert other.fingerprint() != plan.fingerprint()


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def learned(plan: PackPlan, *sources: str, labels: str = "l") -> PackPlan:
    """The plan with video vectors that know what they were made from."""
    tracks = plan.tracks["video"]
    for video_id, header in tracks.headers.items():
        found = {name: plan.tracks[name].headers.get(video_id) for name in sources}
        digests = {name: one.digest() if one else "" for name, one in found.items()}
        tracks.headers[video_id] = replace(header, made_from={**digests, "labels_train": labels})  # type: ignore[index]
    return replace(plan, labels_digest="l")


def test_vectors_of_the_tracks_and_labels_that_are_there_are_packed(plan_of: Plans, tmp_path: Path) -> None:
    plan = learned(plan_of(4), "image", "audio")  # the third video has no audio
    assert pack(plan, tmp_path / "train").n_frames == len(plan.frames)
    another = replace(plan, split="test", labels_digest="of labels that nothing was learned from")
    assert pack(another, tmp_path / "test").n_frames == len(plan.frames)


def test_a_split_whose_own_data_stayed_keeps_its_arrays_and_says_of_which_data_it_is_now(
    plan_of: Plans, tmp_path: Path
) -> None:
    plan = plan_of(3)
    before = pack(replace(plan, made_from={"videos": "v"}), tmp_path)
    written = Path(before.index.filename).stat().st_mtime_ns  # type: ignore[arg-type]
    after = pack(replace(plan, made_from={"videos": "w"}), tmp_path)
    assert after.description.made_from == {"videos": "w"}
    assert after.description.fingerprint == before.description.fingerprint
    assert Path(after.index.filename).stat().st_mtime_ns == written  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "video"),
    [({"fingerprint": "e" * 64}, 0), ({"source_digest": "another file"}, 1), (None, 3), ({}, 2)],
)
def test_a_mixture_is_refused_by_name(
    plan_of: Plans, tmp_path: Path, change: dict[str, str] | None, video: int
) -> None:
    plan = learned(plan_of(4), "image", "audio")
    audio, video_id = plan.tracks["audio"].headers, f"-train_{video:02d}"
    if change is None:
        del audio[video_id]  # type: ignore[attr-defined]
    else:
        audio[video_id] = replace(audio.get(video_id, audio["-train_00"]), video_id=video_id, **change)  # type: ignore[index]
    with pytest.raises(TrackError, match=f"the video track of {video_id} was not made from the audio track that is "):
        pack(plan, tmp_path / "train")
    assert not (tmp_path / "train").exists()


def test_a_mixture_with_a_track_that_is_not_packed_is_refused_too(plan_of: Plans, tmp_path: Path) -> None:
    plan = learned(plan_of(4), "image", "audio")
    of_audio = plan.tracks["audio"]
    without = replace(plan, tracks={name: plan.tracks[name] for name in ("image", "video")})
    assert pack(without, tmp_path / "train").n_frames == len(plan.frames)
    of_audio.headers["-train_00"] = replace(of_audio.headers["-train_00"], fingerprint="e")  # type: ignore[index]
    with pytest.raises(TrackError, match=r"of -train_00 was not made from the audio track .* pipeline video_features"):
        pack(replace(without, sources={"audio": of_audio}), tmp_path / "train")


def test_a_video_that_the_learned_modality_lacks_is_refused(plan_of: Plans, tmp_path: Path) -> None:
    plan = learned(plan_of(4), "image")
    del plan.tracks["video"].headers["-train_01"]  # type: ignore[attr-defined]
    with pytest.raises(TrackError, match="the video track of -train_01 was not made"):
        pack(plan, tmp_path / "train")


def test_vectors_that_were_learned_from_other_labels_are_refused(plan_of: Plans, tmp_path: Path) -> None:
    with pytest.raises(TrackError, match="the video tracks were learned from other labels"):
        pack(learned(plan_of(4), "image", labels="m"), tmp_path / "train")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("former", "where", "is_new"),
    [
        (None, "in_track_9", False),
        (2, "in_track_1", False),
        (2, "in_track_9", False),
        (2, "after_arrays", False),
        (2, "after_split.json", True),
    ],
)
def test_a_kill_leaves_the_former_split_or_the_new_and_the_next_packing_the_new_alone(
    plan_of: Plans, tmp_path: Path, former: int | None, where: str, is_new: bool
) -> None:
    folder = tmp_path / "train"
    before = pack(plan_of(former), folder).description.fingerprint if former else None
    script = Path(__file__).with_name("killed_packing.py")
    killed = subprocess.run([sys.executable, str(script), str(folder), where], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    expected = plan_of(5).fingerprint() if is_new else before
    if expected is None:
        with pytest.raises(TrainingError, match="holds no packed split"):
            PackedSplit(folder)
    else:
        found = PackedSplit(folder)
        assert found.description.fingerprint == expected
        assert np.isfinite(found.matrices["image"]).all() and found.n_frames == len(found.labels)  # type: ignore[arg-type]
    packed_anew = pack(plan_of(5), folder)
    undisturbed = pack(plan_of(5), tmp_path / "undisturbed")
    assert packed_anew.description == undisturbed.description
    assert names(folder) == {"split.json", undisturbed.description.arrays}
    for name, matrix in undisturbed.matrices.items():
        np.testing.assert_array_equal(packed_anew.matrices[name], matrix)
    np.testing.assert_array_equal(packed_anew.index, undisturbed.index)


def test_leftovers_go_with_a_packing_that_has_nothing_to_do(plan_of: Plans, tmp_path: Path) -> None:
    folder = tmp_path / "train"
    split = pack(plan_of(2), folder)
    (folder / "unfinished" / "matrices").mkdir(parents=True)
    pack(plan_of(2), folder)
    assert names(folder) == {"split.json", split.description.arrays}


def test_a_split_of_the_former_layout_is_packed_anew(plan_of: Plans, tmp_path: Path) -> None:
    folder, plan = tmp_path / "train", plan_of(2)
    description = pack(plan, tmp_path / "other").description
    (folder / "matrices").mkdir(parents=True)
    (folder / "index.npy").touch()
    (folder / "split.json").write_text(description.model_copy(update={"format": 1}).model_dump_json())
    with pytest.raises(TrainingError, match=r"a packed split of format 3, .*: run the pipeline model_input again"):
        PackedSplit(folder)
    assert pack(plan, folder).description == description
    assert names(folder) == {"split.json", description.arrays}


def test_arrays_that_somebody_deleted_are_packed_again(plan_of: Plans, tmp_path: Path) -> None:
    split = pack(plan_of(2), tmp_path / "train")
    shutil.rmtree(tmp_path / "train" / split.description.arrays)
    assert pack(plan_of(2), tmp_path / "train").n_frames == split.n_frames


def spoil(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "cut":
        del data[len(data) // 2 :]
    elif how == "zeros":
        data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    else:
        data[len(data) // 2] ^= 0x40
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["matrices/image.npy", "index.npy", "labels.npy"])
@pytest.mark.parametrize("how", ["cut", "zeros"])
def test_a_damaged_array_is_refused_by_name_and_packed_anew(
    plan_of: Plans, tmp_path: Path, name: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "train"
    description = pack(plan_of(5), folder).description
    path = folder / description.arrays / name
    whole = path.read_bytes()
    spoil(path, how)
    with pytest.raises(TrainingError, match=f"{name} is not as it was packed: run the pipeline model_input"):
        PackedSplit(folder)
    assert pack(plan_of(5), folder).description == description
    assert f"{name} is not as it was packed" in caplog.text
    assert path.read_bytes() == whole


def test_one_wrong_bit_in_the_middle_is_found_on_demand(
    plan_of: Plans, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mgn_ma.training.packed._TAIL_BYTES", 64)
    folder = tmp_path / "train"
    description = pack(plan_of(5), folder).description
    path = folder / description.arrays / "matrices/image.npy"
    whole = path.read_bytes()
    spoil(path, "bit")
    pack(plan_of(5), folder)
    assert path.read_bytes() != whole
    pack(plan_of(5), folder, verify=True)
    assert path.read_bytes() == whole


def test_an_interrupted_packing_leaves_what_was_there(plan_of: Plans, tmp_path: Path) -> None:
    before = pack(plan_of(2), tmp_path / "train").description
    broken = plan_of(3, seed=5)
    broken.tracks["audio"].rows.popitem()  # type: ignore[attr-defined]
    with pytest.raises(KeyError):
        pack(broken, tmp_path / "train")
    assert PackedSplit(tmp_path / "train").description == before
    assert names(tmp_path) == {"train"}
    assert names(tmp_path / "train") == {"split.json", before.arrays}


def test_nothing_to_pack_is_an_error(plan_of: Plans, tmp_path: Path) -> None:
    plan = plan_of(2)
    with pytest.raises(TrainingError, match="no modalities"):
        pack(replace(plan, tracks={}), tmp_path / "train")


def test_a_split_without_a_video_is_packed_and_read_as_any_other(plan_of: Plans, tmp_path: Path) -> None:
    plan = plan_of(2)
    for _ in range(2):  # made, and kept
        split = pack(replace(plan, split="holdout", frames=plan.frames.iloc[:0]), tmp_path / "holdout", verify=True)
        assert (split.n_frames, split.video_ids, split.offsets.tolist()) == (0, (), [0])
        assert split.widths == {name: tracks.width for name, tracks in plan.tracks.items()}
    assert pack(replace(plan, split="holdout"), tmp_path / "holdout").n_frames == len(plan.frames)
    assert pack(replace(plan, frames=plan.frames.iloc[:0]), tmp_path / "holdout").n_frames == 0


def test_a_split_of_fewer_videos_than_before_says_of_which(
    plan_of: Plans, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pack(plan_of(5), tmp_path / "train")
    fewer = plan_of(5)
    for video_id in ("-train_01", "-train_03"):
        del fewer.tracks["image"].headers[video_id]  # type: ignore[attr-defined]
    frames = fewer.frames[fewer.frames["video_id"] != "-train_03"].reset_index(drop=True)
    with caplog.at_level(logging.WARNING):
        pack(replace(fewer, frames=frames), tmp_path / "train")
    assert (
        "train: 2 of 5 videos that had image vectors when it was packed last have none now (-train_01, …)"
        in caplog.text
    )
    assert (
        "train: 1 of 5 videos that had video vectors when it was packed last have none now (-train_03)" in caplog.text
    )
    caplog.clear()
    pack(plan_of(5), tmp_path / "train")
    assert not caplog.records


def test_interleaved_videos_are_refused(plan_of: Plans, tmp_path: Path) -> None:
    plan = plan_of(2)
    mixed = pd.concat([plan.frames, plan.frames.iloc[:1]], ignore_index=True)
    with pytest.raises(FrameTableError, match="not one block"):
        pack(replace(plan, frames=mixed), tmp_path / "train")


def test_a_folder_without_a_split_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="model_input"):
        PackedSplit(tmp_path)


def test_a_split_travels_as_its_path(plan_of: Plans, tmp_path: Path) -> None:
    split = pack(plan_of(2), tmp_path / "train")
    content = pickle.dumps(split)
    assert len(content) < 1000
    np.testing.assert_array_equal(pickle.loads(content).index, split.index)


def test_videos_of_frames(plan_of: Plans, tmp_path: Path) -> None:
    split = pack(plan_of(3), tmp_path / "train")
    last_of_first = int(split.offsets[1]) - 1
    assert split.names_of_videos(np.array([last_of_first])) == [split.video_ids[0]]
    assert split.names_of_videos(np.array([last_of_first + 1, 0])) == list(split.video_ids[:2])


@pytest.mark.parametrize("field", ["width", "fingerprint"])
def test_a_mismatch_with_a_model_names_both_sides(plan_of: Plans, tmp_path: Path, field: str) -> None:
    split = pack(plan_of(2), tmp_path / "train")
    wrong = split.modalities["audio"].model_copy(update={field: 7 if field == "width" else "abc"})
    with pytest.raises(
        TrainingError, match=f"audio vectors of member 1 have {field} (7|abc), those of the train split"
    ):
        check_modalities(split, {"audio": wrong}, "member 1")
    with pytest.raises(TrainingError, match="needs the modality 'smell'"):
        check_modalities(split, {"smell": wrong}, "member 1")
    check_modalities(split, split.modalities, "member 1")


def test_labels_of_other_targets_are_refused_by_name(plan_of: Plans, tmp_path: Path) -> None:
    plan = replace(plan_of(2), targets=Targets(names=("valence",)))
    with pytest.raises(TrainingError, match=r"are amusement, anger, .*`targets` names valence: run the pipeline"):
        pack(plan, tmp_path / "train")


def test_where_zeros_are_labels_every_frame_has_some(plan_of: Plans, tmp_path: Path) -> None:
    plan = plan_of(3)
    eev, other = (
        pack(replace(plan, targets=Targets(zero_rows_mean_no_face=no_face)), tmp_path / str(no_face))
        for no_face in (True, False)
    )
    assert 0 < len(eev.face_frames()) < eev.n_frames
    assert other.face_frames().tolist() == list(range(other.n_frames))
