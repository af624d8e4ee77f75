"""The video-level network: shapes, missing modalities, and that it learns a video's mean expressions."""

from __future__ import annotations

import pytest
import torch

from mgn_ma.models.mixture_of_experts import expression_loss
from mgn_ma.models.video_level import VideoBatch, VideoLevelConfig, VideoLevelNetwork

CONFIG = VideoLevelConfig(
    items={"image": 6, "audio": 4},
    vectors={"title": 5},
    classes=15,
    clusters={"image": 3, "audio": 2},
    tower_width=8,
    hidden=16,
)


def videos(n: int, seed: int = 0) -> VideoBatch:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(0, 12, (n, 1), generator=generator)
    return VideoBatch(
        items={name: torch.randn(n, 12, width, generator=generator) for name, width in CONFIG.items.items()},
        masks={"image": torch.ones(n, 12, dtype=torch.bool), "audio": torch.arange(12) < lengths},
        vectors={"title": torch.randn(n, 5, generator=generator)},
        present={"title": torch.rand(n, generator=generator) < 0.7},
    )


@pytest.mark.parametrize("context_gating", [False, True])
def test_learns_and_gives_the_last_hidden_layer(context_gating: bool) -> None:
    torch.manual_seed(0)
    model = VideoLevelNetwork(CONFIG.model_copy(update={"context_gating": context_gating}))
    batch, labels = videos(24), torch.rand(24, 15)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(40):
        loss = expression_loss(model(batch), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.05
    features = model.eval().forward_features(batch)
    assert features.shape == (24, model.num_features) == (24, 16)
    torch.testing.assert_close(model.forward_head(features), model(batch))


def test_a_silent_video_gives_the_audio_tower_no_say() -> None:
    model = VideoLevelNetwork(CONFIG).eval()
    batch = videos(6)
    silent = batch._replace(masks={**batch.masks, "audio": torch.zeros(6, 12, dtype=torch.bool)})
    other = silent._replace(items={**silent.items, "audio": torch.randn(6, 12, 4)})
    torch.testing.assert_close(model(silent), model(other))
    assert not torch.allclose(model(silent), model(batch))


def test_the_paper_has_1024_and_80_items_fit() -> None:
    assert VideoLevelConfig(items={"image": 1536}, classes=15).hidden == 1024
    assert CONFIG.modalities == ("image", "audio", "title")
