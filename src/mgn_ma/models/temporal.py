"""What sees more than one moment: parts behind the hidden layer, (N, H) to (N, H), flat as the batches are.

`TemporalPart` adds to each hidden vector what one of three networks makes of those around it; `FiniteFilter` averages
log-odds. Parts use layer norm: batch norm would count padding, and learn other statistics than a stream has.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mgn_ma.grid import RATE_HZ
from mgn_ma.models.config import TemporalConfig
from mgn_ma.models.sequences import Sequences


class TemporalPart(nn.Module):
    """``h + W f(LN(V h))``: a network ``f`` over time between two projections, added to what a moment says by itself.

    Where ``rate_hz`` is lower than the grid's, ``f`` works on means over its steps, and what it says is interpolated.
    """

    def __init__(self, config: TemporalConfig, width: int) -> None:
        super().__init__()
        self.seconds = config.seconds
        self.steps = RATE_HZ // config.rate_hz
        self.reduce = nn.Linear(width + config.seconds, config.width)
        self.norm = nn.LayerNorm(config.width)
        inner = _NETWORKS[config.kind](config)
        self.inner = inner
        self.expand = nn.Linear(inner.num_features, width)

    def forward(self, hidden: Tensor, sequences: Sequences) -> Tensor:
        """``hidden`` (N, H) of the rows of ``sequences``, to (N, H)."""
        # A minute is about 1, as the units of the hidden layer are.
        inputs = torch.cat([hidden, sequences.seconds[:, None] / 60], dim=1) if self.seconds else hidden
        x = sequences.pad(self.norm(self.reduce(inputs)))  # (S, T, W)
        valid = sequences.valid.unsqueeze(2)  # (S, T, 1)
        if self.steps == 1:
            y = sequences.unpad(self.inner(x, valid, sequences.lengths))  # (N, W')
        else:
            of_means = (len(x), -1, self.steps)
            counts = valid.view(*of_means, 1).sum(dim=2)  # (S, T / k, 1)
            means = x.view(*of_means, x.shape[2]).sum(dim=2) / counts.clamp(min=1)  # (S, T / k, W)
            lengths = -(-sequences.lengths // self.steps)
            y = self._interpolated(self.inner(means, counts > 0, lengths), lengths, sequences)  # (N, W')
        added: Tensor = self.expand(y)  # (N, H)
        return hidden + added

    def _interpolated(self, coarse: Tensor, lengths: Tensor, sequences: Sequences) -> Tensor:
        """Of ``coarse`` (S, T / k, W'), whose means stand in the middle of their steps, the rows (N, W')."""
        number = sequences.of_rows
        position = (sequences.places % sequences.valid.shape[1] + 0.5) / self.steps - 0.5  # (N,)
        last = (lengths - 1).to(coarse.device)[number]
        position = position.clamp(min=0).minimum(last)
        before = position.long()
        after = (before + 1).minimum(last)
        return coarse[number, before].lerp(coarse[number, after], (position - before).unsqueeze(1).to(coarse.dtype))


class Convolutions(nn.Module):
    """Dilated temporal convolutions, ``layers`` stacks of blocks with the dilations 1, 2, 4, …

    After Bai, Kolter and Koltun, "An empirical evaluation of generic convolutional and recurrent networks for sequence
    modeling" (2018); layer norm stands in the place of weight norm.
    """

    def __init__(self, config: TemporalConfig) -> None:
        super().__init__()
        self.num_features = config.width
        dilations = [2**level for _ in range(config.layers) for level in range(config.levels)]
        self.blocks = nn.ModuleList(ConvolutionBlock(config, dilation) for dilation in dilations)

    def forward(self, x: Tensor, valid: Tensor, lengths: Tensor) -> Tensor:
        """``x`` (S, T, W) where ``valid`` (S, T, 1), to (S, T, W)."""
        for block in self.blocks:
            x = block(x, valid)
        return x


class ConvolutionBlock(nn.Module):
    """Two convolutions of one dilation beside a shortcut."""

    def __init__(self, config: TemporalConfig, dilation: int) -> None:
        super().__init__()
        reach = (config.kernel - 1) * dilation
        self.padding = (reach, 0) if config.causal else (reach // 2, reach // 2)
        self.norms = nn.ModuleList(nn.LayerNorm(config.width) for _ in range(2))
        self.convolutions = nn.ModuleList(
            nn.Conv1d(config.width, config.width, config.kernel, dilation=dilation) for _ in range(2)
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """``x`` (S, T, W) where ``valid`` (S, T, 1), to (S, T, W)."""
        y = x
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            # A gap is to a convolution what lies beyond the ends, however wide it is.
            y = (norm(y).relu() * valid).transpose(1, 2)  # (S, W, T)
            y = self.dropout(convolution(functional.pad(y, self.padding)).transpose(1, 2))  # (S, T, W)
        return x + y


class Recurrence(nn.Module):
    """GRU layers, in both directions unless causal; padding is left out of both."""

    def __init__(self, config: TemporalConfig) -> None:
        super().__init__()
        self.num_features = config.width * (1 if config.causal else 2)
        self.layers = nn.GRU(
            config.width,
            config.width,
            config.layers,
            batch_first=True,
            bidirectional=not config.causal,
            dropout=config.dropout if config.layers > 1 else 0.0,
        )

    def forward(self, x: Tensor, valid: Tensor, lengths: Tensor) -> Tensor:
        """``x`` (S, T, W), zeros where not ``valid``, of ``lengths`` (S,) on the host, to (S, T, W')."""
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        y, _ = pad_packed_sequence(self.layers(packed)[0], batch_first=True, total_length=x.shape[1])
        return y


class Attention(nn.Module):
    """Transformer layers whose scores get a learned bias by head and distance in time.

    The bias begins as that of Press, Smith and Lewis, "Train short, test long" (2022): each head falls off at a pace of
    its own. Distances beyond a window share the bias of its length.
    """

    def __init__(self, config: TemporalConfig) -> None:
        super().__init__()
        self.num_features = config.width
        self.causal = config.causal
        assert config.window_s is not None  # noqa: S101 - the configuration has refused that
        self.furthest = round(config.window_s * config.rate_hz)
        seconds = torch.arange(-self.furthest, self.furthest + 1).abs() / config.rate_hz  # (2 R + 1,)
        pace = 2.0 ** -torch.arange(config.heads)  # (heads,)
        self.bias = nn.Parameter(-pace[:, None] * seconds)  # (heads, 2 R + 1)
        self.layers = nn.ModuleList(AttentionLayer(config) for _ in range(config.layers))

    def forward(self, x: Tensor, valid: Tensor, lengths: Tensor) -> Tensor:
        """``x`` (S, T, W), of which the steps that are ``valid`` (S, T, 1) are attended to, to (S, T, W)."""
        steps = torch.arange(x.shape[1], device=x.device)
        distances = steps - steps[:, None]  # (T, T), of the key from the query
        bias = self.bias[:, distances.clamp(-self.furthest, self.furthest) + self.furthest]  # (heads, T, T)
        seen = valid.transpose(1, 2) & (distances <= 0 if self.causal else True)  # (S, 1, T) or (S, T, T)
        # Every step sees itself: one that saw nothing, in a gap, would become NaN, and then a key.
        seen = seen | (distances == 0)  # (S, T, T)
        bias = bias.masked_fill(~seen.unsqueeze(1), -torch.inf)  # (S, heads, T, T)
        for layer in self.layers:
            x = layer(x, bias)
        return x


class AttentionLayer(nn.Module):
    """Self-attention and a feed-forward network, each behind a layer norm and beside a shortcut.

    Torch's own layer takes no bias of scores in its fast path.
    """

    def __init__(self, config: TemporalConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.norms = nn.ModuleList(nn.LayerNorm(config.width) for _ in range(2))
        self.project = nn.Linear(config.width, 3 * config.width)
        self.merge = nn.Linear(config.width, config.width)
        self.widen = nn.Linear(config.width, 4 * config.width)
        self.narrow = nn.Linear(4 * config.width, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """``x`` (S, T, W) under the ``bias`` of its scores (S, heads, T, T), to (S, T, W)."""
        of_attention, of_network = self.norms
        projected = self.project(of_attention(x)).view(*x.shape[:2], 3, self.heads, -1)  # (S, T, 3, heads, W / heads)
        queries, keys, values = projected.permute(2, 0, 3, 1, 4)  # (S, heads, T, W / heads) each
        y = functional.scaled_dot_product_attention(queries, keys, values, bias.to(queries.dtype))
        x = x + self.dropout(self.merge(y.transpose(1, 2).flatten(2)))  # (S, T, W)
        added: Tensor = self.dropout(self.narrow(self.dropout(self.widen(of_network(x)).relu())))  # (S, T, W)
        return x + added


_NETWORKS: dict[str, type[Convolutions | Recurrence | Attention]] = {
    "tcn": Convolutions, "gru": Recurrence, "transformer": Attention,
}  # fmt: skip


class FiniteFilter(nn.Module):
    """A weighted average of each expression's log-odds over the moments around, with weights that are learned.

    It is linear, and the weights are positive with the sum 1 over the moments that there are: a constant stays what it
    is, at the ends and over gaps too, and so does the level. It begins as what a moment says by itself, for the most.
    """

    SHARPNESS = 10.0
    """Of the softmax over taps: what Adam moves by a step would else take thousands of them to count."""

    def __init__(self, config: TemporalConfig, classes: int) -> None:
        super().__init__()
        self.padding = config.context_steps
        taps = sum(self.padding) + 1
        scores = torch.zeros(classes, 1, taps)
        # As much for the moment itself as for all others together.
        scores[:, :, self.padding[0]] = torch.tensor(max(taps - 1, 1)).log() / self.SHARPNESS
        self.scores = nn.Parameter(scores)  # (C, 1, K), the past first

    def forward(self, logits: Tensor, sequences: Sequences) -> Tensor:
        """``logits`` (N, C) of the rows of ``sequences``, to (N, C)."""
        weights = (self.SHARPNESS * self.scores).softmax(dim=2)  # (C, 1, K)
        there = torch.ones_like(logits)
        both = sequences.pad(torch.cat([logits, there], dim=1)).transpose(1, 2)  # (S, 2 C, T)
        padded = functional.pad(both, self.padding)  # (S, 2 C, T + K - 1)
        with torch.autocast(logits.device.type, enabled=False):
            summed = functional.conv1d(padded, weights.repeat(2, 1, 1), groups=both.shape[1])  # (S, 2 C, T)
        values, shares = sequences.unpad(summed.transpose(1, 2)).chunk(2, dim=1)  # (N, C) each
        return values / shares
