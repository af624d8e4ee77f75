"""The plan: a network is trained once however many rows it stands in, and ensembles share none."""

import logging
from types import SimpleNamespace

import pytest

from mgn_ma.eev.targets import EEV
from mgn_ma.evaluation.ablation.config import AblationConfig
from mgn_ma.evaluation.ablation.plan import log_estimate, make_plan
from mgn_ma.evaluation.errors import EvaluationError
from mgn_ma.files import Folder
from mgn_ma.training.config import EnsembleConfig, ModelConfig, TrainingConfig
from mgn_ma.training.members import member_jobs
from mgn_ma.training.states import StateStore, TrainingState

THREE = EnsembleConfig(count=3)
TRAIN = SimpleNamespace(widths={"image": 4, "audio": 3}, targets=EEV)
MODEL = ModelConfig(modalities=("image", "audio"), hidden=8)
TRAINING = TrainingConfig.model_validate({"epochs": 4, "batches": {"shuffle": "full"}})


def make(variants, seeds=2, ensemble=THREE, constant="left_out", **settings):
    rows = [{"row": name, "variant": name} for name in variants]
    config = AblationConfig.model_validate(
        {"seeds": seeds, "variants": variants, "table_1": rows, "table_2": []} | settings
    )
    return make_plan(config, MODEL, TRAINING, ensemble, TRAIN, constant)


def test_rows_that_are_the_same_network_share_its_training():
    plan = make({"audio": {"model": {"modalities": ["audio"]}}, "full": {}, "three": {"model": {"experts": 3}}})
    assert [job.name for job in plan.jobs] == ["audio_seed_0", "audio_seed_1", "full_seed_0", "full_seed_1"]
    assert plan.networks["three", 1] == plan.networks["full", 1] == ("full_seed_1",)
    assert plan.jobs[0].architecture.modalities == {"audio": 3}
    assert [job.seed for job in plan.jobs] == [0, 1, 0, 1]


def test_a_reaction_of_its_own_takes_no_further_network():
    plan = make({"full": {}, "late": {"reaction": "centred"}, "five": {"ensemble_of": "full", "reaction": "causal"}})
    assert plan.networks["late", 1] == plan.networks["full", 1] == ("full_seed_1",)
    assert plan.reactions == {"late": "centred", "five": "causal"}


def test_a_control_is_trained_on_shuffled_labels_or_is_the_network_itself_backwards():
    plan = make({"full": {}, "shuffled": {"control": "shuffled_labels"}, "backwards": {"control": "reversed_time"}})
    assert plan.networks["backwards", 1] == plan.networks["full", 1] == ("full_seed_1",)
    assert plan.reversed_time == {"backwards"}
    job = next(job for job in plan.jobs if job.name == "shuffled_seed_1")
    assert job.shuffle_labels and job.config.snapshot == "last"


def test_networks_of_a_seed_read_the_video_vectors_of_that_seed():
    packed = {f"{kind}_seed_{seed}": 2 + seed for seed in (0, 1, 10) for kind in ("video", "video_in_sample")}
    train = SimpleNamespace(widths={"image": 4, **packed}, targets=EEV)
    variants = {"full": {}, "paper": {"model": {"modalities": ["image", "video_in_sample"]}}}
    config = AblationConfig.model_validate(
        {"seeds": [1, 10], "variants": {**variants, "five": {"ensemble_of": "full"}}, "table_2": []}
        | {"table_1": [{"row": name, "variant": name} for name in (*variants, "five")]}
    )
    plan = make_plan(config, ModelConfig(hidden=8), TRAINING, EnsembleConfig(count=2), train)
    read = {job.name: job.architecture.modalities for job in plan.jobs}
    assert read == {
        **{f"full_seed_{number}": {"image": 4, "video_seed_1": 3} for number in (1, 1001)},
        **{f"full_seed_{number}": {"image": 4, "video_seed_10": 12} for number in (10, 1010)},
        "paper_seed_1": {"image": 4, "video_in_sample_seed_1": 3},
        "paper_seed_10": {"image": 4, "video_in_sample_seed_10": 12},
    }


def test_an_ensemble_starts_with_the_single_network_and_shares_no_other():
    plan = make({"full": {}, "ensemble": {"ensemble_of": "full"}})
    assert plan.networks["ensemble", 0] == ("full_seed_0", "full_seed_1000", "full_seed_2000")
    assert plan.networks["ensemble", 1] == ("full_seed_1", "full_seed_1001", "full_seed_2001")
    assert len(plan.jobs) == 6


def test_an_ensemble_has_the_chain_s_variants_over_those_of_its_row():
    ensemble = EnsembleConfig(
        count=3, variants=({"model": {"hidden": 4}}, {"model": {"modalities": ["audio"]}, "training": {"epochs": 9}})
    )
    variants = {"wide": {"model": {"experts": 2}}, "ensemble": {"ensemble_of": "wide"}}
    plan = make(variants, seeds=1, ensemble=ensemble)
    assert plan.networks["ensemble", 0] == ("ensemble_seed_0", "ensemble_seed_1000", "ensemble_seed_2000")
    assert plan.networks["wide", 0] == ("wide_seed_0",)
    members = [job for job in plan.jobs if job.name.startswith("ensemble")]
    chain = member_jobs(MODEL.model_copy(update={"experts": 2}), TRAINING, ensemble, TRAIN)[:3]
    assert [job.architecture for job in members] == [job.architecture for job in chain]
    assert [job.architecture.hidden for job in members] == [4, 8, 4]
    assert [job.config for job in members] == [job.config for job in chain]
    assert [job.config.epochs for job in members] == [4, 9, 4]


def test_members_that_are_the_single_network_are_trained_once():
    ensemble = EnsembleConfig(count=2, variants=({}, {"model": {"hidden": 4}}))
    plan = make({"full": {}, "ensemble": {"ensemble_of": "full"}}, seeds=1, ensemble=ensemble)
    assert plan.networks["ensemble", 0] == ("full_seed_0", "ensemble_seed_1000")
    assert len(plan.jobs) == 2


def test_every_network_is_chosen_by_the_policy_of_the_evaluation():
    assert {job.constant for job in make({"full": {}}, constant="zeros").jobs} == {"zeros"}


def test_a_variant_of_the_ensemble_that_makes_no_network_is_named():
    variants = {"full": {}, "ensemble": {"ensemble_of": "full"}}
    with pytest.raises(EvaluationError, match=r"variants\.ensemble: ensemble_members\.variants\[1\]: (.|\n)*hiden"):
        make(variants, ensemble=EnsembleConfig(count=2, variants=({}, {"model": {"hiden": 1}})))


def test_a_variant_s_training_is_over_that_of_all():
    plan = make(
        {"short": {"training": {"epochs": 2}}, "full": {}},
        seeds=1,
        training={"epochs": 3, "batches": {"batch_size": 16}},
    )
    assert [(job.config.epochs, job.config.batches.batch_size) for job in plan.jobs] == [(2, 16), (3, 16)]


@pytest.mark.parametrize(
    ("variant", "reason"),
    [({"model": {"hiden": 3}}, "hiden"), ({"model": {"modalities": ["smell"]}}, "'smell'")],
)
def test_changes_that_make_no_network_are_refused_by_the_variant_s_name(variant, reason):
    with pytest.raises(EvaluationError, match=rf"ablation\.variants\.odd: (.|\n)*{reason}"):
        make({"odd": variant})


class Split:
    """As much of a packed split as a fingerprint needs."""

    def __init__(self):
        self.description = self
        self.fingerprint = "f" * 64


def test_the_estimate_counts_what_is_kept_and_takes_the_time_from_it(tmp_path, caplog):
    plan = make({"full": {}, "one": {"model": {"experts": 1}}})
    states, split = StateStore(Folder(tmp_path)), Split()
    with caplog.at_level(logging.INFO):
        log_estimate(plan, split, split, states, workers=2)
    assert "4 networks for 2 variants x 2 seeds; 0 kept from before, 4 to train" in caplog.text
    assert "about" not in caplog.text
    epoch = {"train_loss": 0.5, "validation_correlation": 0.1, "seconds": 3.0}
    for job, epochs in zip(plan.jobs[:2], (4, 1), strict=True):
        state = TrainingState(epochs, [epoch] * epochs, finished=epochs == 4)
        states.save(job.name, job.fingerprint(split, split), state)
    with caplog.at_level(logging.INFO):
        log_estimate(plan, split, split, states, workers=2)
    assert "1 kept from before, 3 to train" in caplog.text
    # 3 + 4 + 4 epochs of 3 s, two at a time.
    assert "about 16 s of training" in caplog.text
