"""Makes a version of the registered model the champion, or says why not; and leaves one truth however many try at once.

The alias is the truth. It is moved under a lock, by whoever still finds the champion that was compared with; who finds
another one compares again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from mgn_ma.evaluation.bootstrap import compare, interval
from mgn_ma.evaluation.promotion import Decision, Outcome, PromotionConfig, decide, decide_first
from mgn_ma.evaluation.scoring import EvaluationConfig
from mgn_ma.inference.rescoring import ComparisonVideos, differences, rescore, unlike_videos
from mgn_ma.tracking.registry import ModelRegistry
from mgn_ma.tracking.versions import CHAMPION, ChampionChangedError, RegisteredVersion, RegistryError

logger = logging.getLogger(__name__)

ATTEMPTS = 5
_STANDING: dict[Outcome, str] = {
    "promoted": "the champion",
    "kept": "not promoted",
    "unchanged": "the champion still",
    "refused": "refused",
    "set_by_hand": "the champion",
}
_BY_HAND = "Set one by hand with --params promotion.version=N if that is meant"


def promote(
    registry: ModelRegistry,
    challenger: RegisteredVersion | None,
    videos: ComparisonVideos,
    promotion: PromotionConfig,
    evaluation: EvaluationConfig,
) -> Decision:
    """Decide on the challenger, or set the version that was asked for, and write the decision down in the registry.

    Raises:
        RegistryError: there is nothing to decide on, or the version that was asked for is none.
        ChampionChangedError: others changed the champion again and again meanwhile.
    """
    if promotion.version is not None:
        version = registry.version(promotion.version)
        registry.bundle(version.uri)  # One that can't be loaded must not become what everybody loads.
        return _settle(registry, version, promotion, lambda champion: _by_hand(version, champion))
    if challenger is None:
        raise RegistryError(
            f"no version of {registry.name} is the challenger: `kedro run --pipelines registration` registers what is "
            "trained"
        )
    return _settle(
        registry,
        challenger,
        promotion,
        lambda champion: _judge(registry, challenger, champion, videos, promotion, evaluation),
    )


def _settle(
    registry: ModelRegistry,
    version: RegisteredVersion,
    promotion: PromotionConfig,
    judge: Callable[[RegisteredVersion | None], Decision],
) -> Decision:
    for attempt in range(1, ATTEMPTS + 1):
        champion = registry.holder(CHAMPION)
        if champion is not None and champion.number == version.number:
            decision = _uncompared("unchanged", "it is the champion already", version, champion)
        else:
            decision = judge(champion)
        if promotion.dry_run:
            logger.info("Version %d would be %s: %s", version.number, _STANDING[decision.outcome], decision.reason)
            return decision
        try:
            registry.settle(version, champion, decision, datetime.now(UTC))
        except ChampionChangedError as error:
            if attempt == ATTEMPTS:
                raise
            logger.info("%s; compared again", error)
        else:
            break
    logger.info("Version %d is %s: %s", version.number, _STANDING[decision.outcome], decision.reason)
    return decision


def _by_hand(version: RegisteredVersion, champion: RegisteredVersion | None) -> Decision:
    before = "there was no champion" if champion is None else f"instead of version {champion.number}"
    return _uncompared("set_by_hand", f"set by hand, {before}; nothing was compared", version, champion)


def _judge(
    registry: ModelRegistry,
    challenger: RegisteredVersion,
    champion: RegisteredVersion | None,
    videos: ComparisonVideos,
    promotion: PromotionConfig,
    evaluation: EvaluationConfig,
) -> Decision:
    ours = registry.bundle(challenger.uri)
    theirs = registry.bundle(champion.uri) if champion else None
    against = [] if theirs is None else differences(ours.description, theirs.description)
    if champion is not None and against:
        reason = f"it and version {champion.number} differ in {'; '.join(against)}: they can't be compared. {_BY_HAND}"
        return _uncompared("refused", reason, challenger, champion)
    unlike = unlike_videos(ours.description, videos)
    if unlike:
        reason = (
            f"it and what is on disk differ in {'; '.join(unlike)}: it can't be scored. Train and register with what "
            f"is there. {_BY_HAND}"
        )
        return _uncompared("refused", reason, challenger, champion)
    bundles = {"challenger": ours} | ({} if theirs is None else {CHAMPION: theirs})
    scores = rescore(bundles, videos, evaluation.constant)
    uses = registry.use_holdout(videos.holdout) if videos.holdout else None
    score = interval(scores["challenger"], evaluation.bootstrap)
    if champion is None:
        return decide_first(challenger.number, score, promotion, uses)
    return decide(
        challenger.number,
        champion.number,
        score,
        interval(scores[CHAMPION], evaluation.bootstrap),
        compare(scores["challenger"], scores[CHAMPION], evaluation.bootstrap),
        promotion,
        uses,
    )


def _uncompared(
    outcome: Outcome, reason: str, version: RegisteredVersion, champion: RegisteredVersion | None
) -> Decision:
    """A decision without scores."""
    number = champion.number if champion else None
    return Decision(outcome=outcome, reason=reason, version=version.number, champion=number)
