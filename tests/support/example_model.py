"""An untrained ensemble with everything that a trained one has: two members, a video-level network, a recipe."""

import torch

from mgn_ma.eev.targets import EEV
from mgn_ma.evaluation.recipe import EnsembleRecipe
from mgn_ma.extractors.registry import build, parse_config
from mgn_ma.inference.bundle import Bundle, BundleDescription
from mgn_ma.inference.model import ExtractorContract
from mgn_ma.media.digest import digest
from mgn_ma.media.probe import probe
from mgn_ma.media.source import VideoSource
from mgn_ma.modalities import VIDEO
from mgn_ma.models.mgn_ma import MGNMA, MGNMAConfig
from mgn_ma.models.video_level import VideoLevelConfig, VideoLevelNetwork
from mgn_ma.training.checkpoints import Checkpoint, CheckpointDescription
from mgn_ma.training.packed import PackedModality
from mgn_ma.training.video_level import VideoLevelSettings

EXTRACTORS = {
    "image": ("image_descriptor", {}, 166_667),
    "audio": ("audio_descriptor", {}, 960_000),
    "subtitle": ("text_descriptor", {"source": "captions"}, 5_000_000),
    "title": ("text_descriptor", {"source": "title"}, 0),
}
WEIGHTS = (0.75, 0.25)
VIDEO_WIDTH = 8


def make_bundle():
    """The same for every call."""
    configs = {name: parse_config(extractor, settings) for name, (extractor, settings, _) in EXTRACTORS.items()}
    extractors = {name: build(config) for name, config in configs.items()}
    inputs = {
        name: PackedModality(
            width=extractors[name].width,
            fingerprint=config.fingerprint(),
            clock=extractors[name].clock,
            tolerance_us=EXTRACTORS[name][2],
        )
        for name, config in configs.items()
    }
    of_video = {name: inputs[name] for name in ("image", "audio", "title")}
    video = PackedModality(width=VIDEO_WIDTH, fingerprint="v" * 64, clock="whole", tolerance_us=0)
    of_member = {name: inputs[name] for name in ("image", "audio", "subtitle")} | {VIDEO.name: video}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        members = {f"member_{number}": _member(of_member) for number in (1, 2)}
        video_network = _video_network(of_video)
    contracts = {
        name: ExtractorContract(settings=config.model_dump(mode="json"), fingerprint=config.fingerprint())
        for name, config in configs.items()
    }
    recipe = EnsembleRecipe(
        method="stacking", standardised=False, members=tuple(members), weights=WEIGHTS, video_weights={}
    )
    description = BundleDescription(
        targets=EEV,
        extractors=contracts,
        video_level=VideoLevelSettings(items=12),
        recipe=recipe,
        scores={"validation": 0.123, "interval": {"low": 0.101, "high": 0.145, "n_videos": 8}},
    )
    return Bundle(description, members, video_network)


def tracks_by_hand(bundle, video):
    """Rows of each modality of a video with captions: each extractor asked by itself."""
    info = probe(video.path)
    source = VideoSource(
        video.video_id,
        video.path,
        digest(video.path),
        info.duration_us,
        info.has_audio,
        video.captions,
        digest(video.captions),
        video.title,
    )
    tracks = {}
    for modality, config in bundle.configs().items():
        tracks[modality] = build(config).extract(source)
    return tracks


def _member(inputs):
    network = MGNMA(MGNMAConfig(modalities={name: kind.width for name, kind in inputs.items()}, classes=15, hidden=16))
    # As trained as it has to be for its curves to move.
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return Checkpoint(
        CheckpointDescription(
            kind="mgn_ma", architecture=network.config.model_dump(mode="json"), inputs=inputs, targets=EEV
        ),
        network.state_dict(),
    )


def _video_network(inputs):
    config = VideoLevelConfig(
        items={name: inputs[name].width for name in ("image", "audio")},
        vectors={"title": inputs["title"].width},
        clusters={"image": 2, "audio": 2},
        classes=15,
        tower_width=8,
        hidden=VIDEO_WIDTH,
    )
    description = CheckpointDescription(
        kind="video_level", architecture=config.model_dump(mode="json"), inputs=inputs, targets=EEV
    )
    return Checkpoint(description, VideoLevelNetwork(config).state_dict())
