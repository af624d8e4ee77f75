"""What a version of the registered model says of itself, for people and for searches."""

from __future__ import annotations

from mgn_ma.inference.bundle import Bundle

DIGEST_TAG = "bundle_digest"
"""By which the same ensemble is found again."""


def tags_of(bundle: Bundle) -> dict[str, str]:
    """Tags of a version: its score with the interval, its data, its input and its code."""
    description = bundle.description
    scores, tags = description.scores, {DIGEST_TAG: bundle.digest()}
    if scores.get("validation") is not None:
        tags["validation_score"] = f"{scores['validation']:.4f}"
    interval = scores.get("interval") or {}
    if interval.get("low") is not None:
        tags["validation_interval"] = f"{interval['low']:.4f} to {interval['high']:.4f}"
    if interval.get("n_videos") is not None:
        tags["validation_videos"] = str(interval["n_videos"])
    tags |= {
        "method": description.recipe.method,
        "members": str(len(description.recipe.members)),
        "data_fingerprint": description.data_fingerprint or "unknown",
        "expressions": ", ".join(description.expressions),
    }
    tags |= {
        f"extractor.{modality}": f"{contract.settings['name']} {contract.fingerprint}"
        for modality, contract in description.extractors.items()
    }
    return tags | {f"code.{name}": value for name, value in description.code_version.items()}


def describe(bundle: Bundle) -> str:
    """One sentence on a version."""
    recipe, tags = bundle.description.recipe, tags_of(bundle)
    sentence = f"{len(recipe.members)} members, combined by {recipe.method}, reading {', '.join(bundle.modalities)}."
    if "validation_score" in tags:
        sentence += f" Validation correlation {tags['validation_score']}"
        if "validation_interval" in tags:
            sentence += f" (interval {tags['validation_interval']}, {tags['validation_videos']} videos)"
        sentence += "."
    return sentence
