"""The node that makes a model of prompts; where it is registered is the catalog's business. docs/zero-shot.md."""

from mgn_ma.inference.zero_shot.config import ZeroShotSettings
from mgn_ma.inference.zero_shot.making import make_configured
from mgn_ma.inference.zero_shot.model import ZeroShot


def make_model(zero_shot: ZeroShotSettings) -> ZeroShot:
    """The prompts as directions in the spaces of their encoders.

    Raises:
        PromptsError: the file of prompts can't be used.
        WeightsError: encoders are absent, and nobody has agreed to fetch them.
    """
    return make_configured(zero_shot)
