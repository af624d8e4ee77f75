"""Promotion on a real registry in SQLite: who becomes champion, what is written down, and two at once."""

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tiny_ensemble import DATA, bundle

from mgn_ma.evaluation.bootstrap import BootstrapConfig
from mgn_ma.evaluation.promotion import Decision, PromotionConfig
from mgn_ma.evaluation.scoring import EvaluationConfig
from mgn_ma.inference.bundle import BundleError
from mgn_ma.inference.rescoring import ComparisonVideos
from mgn_ma.tracking.promotion import promote
from mgn_ma.tracking.promotion_lock import PromotionBusyError, promotion_lock
from mgn_ma.tracking.version_tags import LONGEST_DESCRIPTION, with_decision
from mgn_ma.tracking.versions import CHALLENGER, CHAMPION, ChampionChangedError, RegistryError

EVALUATION = EvaluationConfig(bootstrap=BootstrapConfig(resamples=200))
BEST, GOOD, BAD = 0.0, 0.1, 0.8
"""Noise on the weights of the ensemble that has made the labels."""


@pytest.fixture
def validation(tiny):
    return ComparisonVideos(tiny.labels, tiny.views(), DATA)


def run(registry, validation, **promotion):
    return promote(registry, registry.holder(CHALLENGER), validation, PromotionConfig(**promotion), EVALUATION)


def champion(registry):
    found = registry.holder(CHAMPION)
    return found.number if found else None


def tags(registry, number):
    found = registry.client.get_model_version("mgn-ma", str(number)).tags
    return {name.removeprefix("promotion."): value for name, value in found.items() if name.startswith("promotion.")}


def test_better_is_promoted_worse_and_equal_are_not(registry, validation):
    registry.register(bundle(GOOD))
    assert run(registry, validation).outcome == "promoted"
    assert champion(registry) == 1

    registry.register(bundle(BAD))
    worse = run(registry, validation)
    assert (worse.outcome, champion(registry)) == ("kept", 1)
    assert worse.gain.high < 0
    assert tags(registry, 2)["decision"] == "kept"
    assert float(tags(registry, 2)["gain"]) == worse.gain.difference

    registry.register(bundle(GOOD, method="mean"))  # Another version that predicts the same.
    equal = run(registry, validation)
    assert (equal.outcome, equal.version, champion(registry)) == ("kept", 3, 1)
    assert (equal.gain.low, equal.gain.high) == (0, 0)

    registry.register(bundle(BEST))
    better = run(registry, validation)
    assert (better.outcome, champion(registry)) == ("promoted", 4)
    assert better.gain.low > 0
    assert better.score.estimate == pytest.approx(1, abs=1e-6)
    written = tags(registry, 4)
    assert written["decision"] == "promoted"
    assert written["champion"] == "1"
    assert written["run_id"] == registry.run_id
    assert float(written["gain_low"]) == better.gain.low
    assert tags(registry, 1)["replaced_by"] == "version 4"
    description = registry.client.get_model_version("mgn-ma", "4").description
    assert "UTC, promoted: it scores 1.0000, version 1 " in description
    assert description.startswith("2 members, combined by greedy")


def test_every_look_at_the_hold_out_is_counted(registry, tiny):
    first, other = (ComparisonVideos(tiny.labels, tiny.views(), DATA, digest * 64) for digest in "ab")
    registry.register(bundle(GOOD))
    assert run(registry, first, dry_run=True).holdout_uses == 1, "a dry run has looked, too"
    assert run(registry, first).holdout_uses == 2
    assert run(registry, first).holdout_uses is None, "the champion is not compared with itself"
    registry.register(bundle(BAD))
    assert run(registry, other).holdout_uses == 1
    kept = run(registry, first)
    assert (kept.outcome, kept.holdout_uses) == ("kept", 3)
    assert "hold-out videos (used 3 times by now)" in kept.reason
    assert tags(registry, 2)["holdout_uses"] == "3"
    model = registry.client.get_registered_model("mgn-ma").tags
    assert model == {"holdout.aaaaaaaaaaaa.uses": "3", "holdout.bbbbbbbbbbbb.uses": "1"}


def test_the_least_gain_can_be_asked_for(registry, validation):
    for noise in (GOOD, BEST):
        registry.register(bundle(noise))
        decision = run(registry, validation, min_gain=0.9)
    assert (decision.outcome, champion(registry)) == ("kept", 1)
    assert "not above the least gain of 0.9" in decision.reason


def test_the_champion_is_not_promoted_again(registry, validation):
    registry.register(bundle())
    run(registry, validation)
    again = run(registry, validation)
    assert (again.outcome, again.reason) == ("unchanged", "it is the champion already")


def test_a_dry_run_changes_nothing(registry, validation):
    registry.register(bundle())
    assert run(registry, validation, dry_run=True).outcome == "promoted"
    assert (champion(registry), tags(registry, 1)) == (None, {})
    registry.register(bundle(BAD))
    assert run(registry, validation, version=2, dry_run=True).outcome == "set_by_hand"
    assert (champion(registry), tags(registry, 2)) == (None, {})


def test_a_roll_back_by_hand_and_the_way_forth_again(registry, validation):
    for noise in (GOOD, BEST):
        registry.register(bundle(noise))
        run(registry, validation)
    assert champion(registry) == 2
    back = run(registry, validation, version=1)
    assert (back.outcome, champion(registry)) == ("set_by_hand", 1)
    assert back.reason == "set by hand, instead of version 2; nothing was compared"
    written = tags(registry, 1)
    assert written["decision"] == "set_by_hand"
    assert written.keys() == {"decision", "reason", "time", "run_id", "champion"}  # Nothing of the earlier decision.
    assert tags(registry, 2)["replaced_by"] == "version 1"
    assert run(registry, validation, version=1).outcome == "unchanged"
    description = registry.client.get_model_version("mgn-ma", "1").description
    assert [part in description for part in ("promoted: there was no", "set by hand: set by")] == [True, True]
    assert run(registry, validation).outcome == "promoted"
    assert (champion(registry), "replaced_by" in tags(registry, 2)) == (2, False)


def test_a_version_that_is_not_there_or_does_not_load_is_not_set(registry, validation):
    with pytest.raises(RegistryError, match="there is no registered model mgn-ma"):
        run(registry, validation, version=3)
    registry.register(bundle())
    with pytest.raises(RegistryError, match="mgn-ma has no version 3, it has 1"):
        run(registry, validation, version=3)
    location = registry.client.get_model_version_download_uri("mgn-ma", "1").removeprefix("file://")
    (Path(location) / "artifacts/bundle/bundle.json").write_text("{}")
    with pytest.raises(BundleError, match="does not describe a bundle"):
        run(registry, validation, version=1)
    assert champion(registry) is None


def test_nothing_to_promote_says_what_to_run(registry, validation):
    with pytest.raises(RegistryError, match="`kedro run --pipelines registration` registers what is trained"):
        run(registry, validation)


def test_other_data_are_refused_by_name(registry, validation):
    registry.register(bundle())
    run(registry, validation)
    registry.register(bundle(GOOD, data="e" * 64))
    refused = run(registry, validation)
    assert (refused.outcome, champion(registry)) == ("refused", 1)
    assert refused.reason.startswith("it and version 1 differ in data eeeeeeeeeeee and dddddddddddd: they can't be")
    assert "--params promotion.version=N" in refused.reason
    assert tags(registry, 2)["decision"] == "refused"


def test_what_can_t_be_scored_with_what_is_on_disk_is_refused(registry, validation):
    registry.register(bundle(data="e" * 64))
    refused = run(registry, validation)
    assert (refused.outcome, champion(registry)) == ("refused", None)
    assert refused.reason.startswith("it and what is on disk differ in data eeeeeeeeeeee and dddddddddddd")


def test_a_description_keeps_the_newest_decisions_within_bounds():
    description = "2 members."
    for version in range(1, 200):
        decision = Decision(outcome="kept", reason=f"reason {version}", version=version, champion=None)
        description = with_decision(description, decision, datetime(2026, 1, 31, 12, 5, tzinfo=UTC))
    assert len(description) <= LONGEST_DESCRIPTION
    assert description.startswith("2 members.\n\n")
    assert description.endswith("\n\n2026-01-31 12:05 UTC, kept: reason 199.")
    assert "reason 150" in description
    assert "reason 1." not in description


def test_who_finds_another_champion_compares_again(registry, validation, monkeypatch):
    for noise in (BAD, BEST, GOOD):
        registry.register(bundle(noise))
    run(registry, validation, version=1)
    settle = type(registry).settle

    def interrupted(self, version, found, decision, at):
        monkeypatch.setattr(type(registry), "settle", settle)
        self.client.set_registered_model_alias("mgn-ma", CHAMPION, "2")  # Somebody else was faster.
        settle(self, version, found, decision, at)

    monkeypatch.setattr(type(registry), "settle", interrupted)
    decision = run(registry, validation)
    assert (decision.outcome, decision.champion, champion(registry)) == ("kept", 2, 2)


def test_a_champion_that_changes_again_and_again_is_given_up_on(registry, validation, monkeypatch):
    registry.register(bundle())

    def always(*_):
        raise ChampionChangedError("version 9 is the champion of mgn-ma by now")

    monkeypatch.setattr(type(registry), "settle", always)
    with pytest.raises(ChampionChangedError, match="version 9"):
        run(registry, validation)


PROMOTE = """
import sys, json
from pathlib import Path
sys.path.insert(0, {tests!r})
import tiny_ensemble
from mgn_ma.evaluation.bootstrap import BootstrapConfig
from mgn_ma.evaluation.promotion import Decision, PromotionConfig
from mgn_ma.evaluation.scoring import EvaluationConfig
from mgn_ma.inference.rescoring import ComparisonVideos
from mgn_ma.tracking.promotion import promote
from mgn_ma.tracking.registry import ModelRegistry
import pandas as pd

uri, number, tracks, labels, ready = sys.argv[1:]
registry = ModelRegistry(uri)
tiny = tiny_ensemble.TinyEnsemble(Path(tracks), pd.read_parquet(labels))
validation = ComparisonVideos(tiny.labels, tiny.views(), tiny_ensemble.DATA)
version = registry.version(int(number))
Path(ready, number).touch()
while len(list(Path(ready).iterdir())) < 2:
    pass
evaluation = EvaluationConfig(bootstrap=BootstrapConfig(resamples=200))
print(promote(registry, version, validation, PromotionConfig(), evaluation).model_dump_json())
"""


@pytest.mark.slow
def test_of_two_promotions_at_once_the_better_version_stays(registry, validation, tiny, tmp_path):
    """Both are better than the champion that both find; whichever comes second has to beat the first."""
    for noise in (BAD, GOOD, BEST):
        registry.register(bundle(noise))
    run(registry, validation, version=1)
    tiny.labels.to_parquet(tmp_path / "labels.parquet")
    ready = tmp_path / "ready"
    ready.mkdir()
    code = PROMOTE.format(tests=str(Path(__file__).parents[1] / "support"))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, registry.tracking_uri, number, tiny.root, tmp_path / "labels.parquet", ready],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in ("2", "3")
    ]
    ended = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], ended
    second, best = (json.loads(output) for output, _ in ended)
    assert champion(registry) == 3
    assert (best["outcome"], best["champion"]) in {("promoted", 1), ("promoted", 2)}
    # Either version 2 came first and was replaced, or it met version 3 and stayed behind.
    first = best["champion"] == 2
    assert (second["outcome"], second["champion"]) == (("promoted", 1) if first else ("kept", 3))
    assert tags(registry, 1)["replaced_by"] == ("version 2" if first else "version 3")
    assert [model.name for model in registry.client.search_registered_models()] == ["mgn-ma"]


def test_the_lock_has_one_holder_and_is_given_back(registry):
    with promotion_lock(registry.client, "mgn-ma"):
        started = time.monotonic()
        with (
            pytest.raises(PromotionBusyError, match=r"process \d+ on .* has been moving the champion of mgn-ma"),
            promotion_lock(registry.client, "mgn-ma", timeout_s=0.3),
        ):
            pass
        assert time.monotonic() - started < 10
    with promotion_lock(registry.client, "mgn-ma", timeout_s=0.0):
        pass
    assert registry.client.search_registered_models() == []


def test_the_lock_of_a_dead_process_is_named_and_left_to_a_person(registry):
    registry.client.create_registered_model("mgn-ma.promotion-lock", tags={"holder": "a ghost"})
    with (
        pytest.raises(PromotionBusyError, match=r"a ghost .*delete the registered model mgn-ma\.promotion-lock"),
        promotion_lock(registry.client, "mgn-ma", timeout_s=0.0),
    ):
        pass
    registry.client.delete_registered_model("mgn-ma.promotion-lock")
    with promotion_lock(registry.client, "mgn-ma", timeout_s=0.0):
        pass
