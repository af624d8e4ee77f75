"""What is refused as made from other data, and what is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from mgn_ma.features.settings import Modalities
from mgn_ma.training.current import MADE_FROM, members_of, require_current, require_predicted_from, require_trained_on
from mgn_ma.training.errors import TrainingError
from mgn_ma.training.packed import PackedSplit
from mgn_ma.training.packing import PackPlan, pack

MODALITIES = Modalities.model_validate({"image": {"extractor": "image_descriptor"}, "video": {}})
DATA = {"labels_train": "l", "labels_validation": "other", "videos": "v"}


@pytest.fixture
def split(plan_of: Callable[..., PackPlan], tmp_path: Path) -> PackedSplit:
    """With vectors of the extractor that the parameters name, and learned ones."""
    plan = plan_of(3)
    tracks = {name: plan.tracks[name] for name in ("image", "video")}
    tracks["image"].fingerprint = MODALITIES.config("image").fingerprint()  # type: ignore[misc]
    return pack(replace(plan, tracks=tracks, made_from={"labels": "l", "videos": "v"}), tmp_path / "train")


def test_a_split_of_the_data_that_there_are_now_is_current(split: PackedSplit) -> None:
    require_current([split], DATA, MODALITIES)


@pytest.mark.parametrize(
    ("data", "modalities", "what"),
    [
        ({"labels_train": "m"}, {}, "labels"),
        ({"labels_train": "m", "videos": "w"}, {}, "labels and videos"),
        (
            {},
            {"image": {"extractor": "image_descriptor", "settings": {"image_descriptor": {"size": 32}}}},
            "image tracks",
        ),
        ({}, {"image": None}, "image tracks"),
        ({}, {"video": None}, "video tracks"),
    ],
)
def test_a_split_of_other_data_is_refused_with_what_differs_and_what_mends_it(
    split: PackedSplit, data: dict[str, str], modalities: dict[str, Any], what: str
) -> None:
    now = Modalities.model_validate({**MODALITIES.model_dump(), **modalities})
    refusal = f"^the train split was packed from other {what} than there are now: run `kedro run --pipelines ablation`$"
    with pytest.raises(TrainingError, match=refusal):
        require_current([split], {**DATA, **data}, now, pipeline="ablation")


def test_an_extractor_whose_weights_are_elsewhere_is_taken_to_be_the_same(split: PackedSplit, tmp_path: Path) -> None:
    weights = {"pretrained": {"path": str(tmp_path / "none.safetensors")}}
    absent = {"extractor": "inception_resnet_v2", "settings": {"inception_resnet_v2": weights}}
    require_current([split], DATA, Modalities.model_validate({"image": absent, "video": {}}))


def test_a_split_packed_by_an_earlier_version_is_not_current(plan_of: Callable[..., PackPlan], tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="from other labels and videos"):
        require_current([pack(plan_of(3), tmp_path)], DATA, MODALITIES)


def test_members_and_predictions_of_another_split_are_refused(split: PackedSplit) -> None:
    def member(fingerprint: str) -> Any:
        return SimpleNamespace(description=SimpleNamespace(training={"train_fingerprint": fingerprint}))

    packed = split.description.fingerprint
    require_trained_on({"member_1": member(packed)}, [split])
    with pytest.raises(TrainingError, match=r"member_2 was trained on another train split .* --pipelines training`"):
        require_trained_on({"member_1": member(packed), "member_2": member("f")}, [split])

    predictions = pd.DataFrame()
    assert members_of(predictions) == ""
    with pytest.raises(TrainingError, match=r"predictions were made from another train split .* --pipelines training`"):
        require_predicted_from(predictions, [split])
    predictions.attrs[MADE_FROM] = {"members": "m", "train": packed}
    require_predicted_from(predictions, [split])
    assert members_of(predictions) == "m"
