"""What a version of the registered model says of itself, for people and for searches."""

from __future__ import annotations

from datetime import datetime

from mgn_ma.evaluation.promotion import Decision
from mgn_ma.inference.model import Model

DECISION_PREFIX = "promotion."
"""Of all tags that a decision leaves; those that the next one doesn't give are removed."""
REPLACED_TAG = f"{DECISION_PREFIX}replaced_by"
LONGEST_DESCRIPTION = 4000

DIGEST_TAG = "bundle_digest"
"""By which the same ensemble is found again."""


def scores_of(bundle: Model) -> dict[str, float]:
    """What is known of how well it predicts, ``validation_score`` and ``holdout_score``."""
    scores = bundle.description.scores
    found = {
        "validation_score": scores.get("validation"),
        "holdout_score": (scores.get("holdout") or {}).get("estimate"),
    }
    return {name: float(score) for name, score in found.items() if score is not None}


def tags_of(bundle: Model) -> dict[str, str]:
    """Tags of a version: its scores with their intervals, its data, its input and its code."""
    description = bundle.description
    scores, tags = description.scores, {DIGEST_TAG: bundle.digest()}
    tags |= {name: f"{score:.4f}" for name, score in scores_of(bundle).items()}
    interval = scores.get("interval") or {}
    if interval.get("low") is not None:
        tags["validation_interval"] = f"{interval['low']:.4f} to {interval['high']:.4f}"
    if interval.get("n_videos") is not None:
        tags["validation_videos"] = str(interval["n_videos"])
    holdout = scores.get("holdout") or {}
    if holdout.get("estimate") is not None:
        tags["holdout_videos"] = str(holdout["n_videos"])
    if holdout.get("low") is not None:
        tags["holdout_interval"] = f"{holdout['low']:.4f} to {holdout['high']:.4f}"
    if bundle.caution:
        tags["caution"] = bundle.caution
    tags |= {
        "method": bundle.method,
        "members": str(len(bundle.weights)),
        "data_fingerprint": description.data_fingerprint or "unknown",
        "expressions": ", ".join(description.targets.names),
    }
    tags |= {
        f"extractor.{modality}": f"{contract.settings['name']} {contract.fingerprint}"
        for modality, contract in description.extractors.items()
    }
    return tags | {f"code.{name}": value for name, value in description.code_version.items()}


def describe(bundle: Model) -> str:
    """One sentence on a version."""
    sentence, tags = bundle.in_words, tags_of(bundle)
    if "validation_score" in tags:
        sentence += f" Validation correlation {tags['validation_score']}"
        if "validation_interval" in tags:
            sentence += f" (interval {tags['validation_interval']}, {tags['validation_videos']} videos)"
        sentence += "."
    if "holdout_score" in tags:
        sentence += f" On {tags['holdout_videos']} hold-out videos, which chose nothing: {tags['holdout_score']}"
        if "holdout_interval" in tags:
            sentence += f" (interval {tags['holdout_interval']})"
        sentence += "."
    return sentence


def tags_of_decision(decision: Decision, at: datetime, run_id: str | None) -> dict[str, str]:
    """The last decision on a version."""
    tags: dict[str, str | float | int | None] = {
        "decision": decision.outcome,
        "reason": decision.reason,
        "time": at.isoformat(timespec="seconds"),
        "run_id": run_id,
        "champion": decision.champion,
        "holdout_uses": decision.holdout_uses,
        "min_gain": decision.min_gain,
    }
    if decision.score is not None:
        tags |= {"score": decision.score.estimate, "videos": decision.score.n_videos}
    if decision.champion_score is not None:
        tags["champion_score"] = decision.champion_score.estimate
    if decision.gain is not None:
        tags |= {
            "gain": decision.gain.difference,
            "gain_low": decision.gain.low,
            "gain_high": decision.gain.high,
        }
    return {f"{DECISION_PREFIX}{name}": str(value) for name, value in tags.items() if value is not None}


def with_decision(description: str, decision: Decision, at: datetime) -> str:
    """The description with one more paragraph, the oldest of which give way where it grows too long."""
    first, *earlier = description.split("\n\n")
    said = f"{at:%Y-%m-%d %H:%M} UTC, {decision.outcome.replace('_', ' ')}: {decision.reason}."
    paragraphs = [*earlier, said]
    while len(paragraphs) > 1 and len("\n\n".join([first, *paragraphs])) > LONGEST_DESCRIPTION:
        del paragraphs[0]
    return "\n\n".join([first, *paragraphs])
