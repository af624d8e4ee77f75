"""Which packets of a video must be decoded to show the frames that are wanted, and none other."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from av.packet import Packet
from av.stream import Stream

from mgn_ma.media.clock import SPLICE_AHEAD, floor_us

# Codecs reorder over at most 16 frames; in decoding order a frame's successor on screen is less than 64 packets away.
_MOST_REORDERED = 20
_LOOKAHEAD = 64
_MOST_BYTES_PENDING = 64 << 20
_SPLICE_AHEAD_US = floor_us(SPLICE_AHEAD)

AnyPacket: TypeAlias = "Packet[Stream]"


@dataclass(frozen=True, slots=True)
class Choice:
    """A packet to decode.

    Attributes:
        packet: the packet.
        wanted: whether its frame is wanted; if not, it is needed only if other frames refer to it.
        after_gap: packets before it were left out, so the decoder has to be emptied first.
    """

    packet: AnyPacket
    wanted: bool
    after_gap: bool = False


@dataclass(frozen=True, slots=True)
class _Entry:
    packet: AnyPacket
    time_us: int | None


class PacketSelector:
    """Chooses packets so that decoding them gives the wanted frames exactly as decoding all would.

    Two things are saved: whole runs up to the next keyframe in which nothing is wanted, and (by the caller, in the
    decoder) frames that aren't wanted and that no other refers to. There is no seeking and no trust in an index: each
    packet is read, and its fate decided when the packets after it are known. Memory is bounded by what lies between
    two keyframes, and by 64 MiB.

    Only for containers that store presentation times. A packet without one, or a splice of another clock, ends the
    selection: from there on everything is decoded.

    Args:
        wanted_us: (N,) int64, ascending.
        time_us: presentation time of a packet in microseconds, ``None`` where unknown.
    """

    def __init__(self, wanted_us: npt.NDArray[np.int64], time_us: Callable[[AnyPacket], int | None]) -> None:
        self._wanted: list[int] = wanted_us.tolist()
        self._time_us = time_us
        self._window: deque[_Entry] = deque()
        self._recent: deque[int] = deque()
        self._near: list[int] = []
        self._pending: list[AnyPacket] = []
        self._pending_bytes = 0
        self._left_out = False
        self._latest: deque[int] = deque(maxlen=_MOST_REORDERED)
        self._first_us: int | None = None

    def select(self, packets: Iterator[AnyPacket]) -> Iterator[Choice]:
        """Yield the packets to decode, in decoding order; ends once everything wanted can be shown."""
        if not self._wanted:
            return
        for packet in packets:
            if packet.size == 0:
                continue
            time_us = None if packet.is_discard else self._time_us(packet)
            if not packet.is_discard and self._is_unreliable(time_us):
                yield from self._everything_from(packet, packets)
                return
            self._window.append(_Entry(packet, time_us))
            if time_us is not None:
                insort(self._near, time_us)
            if len(self._window) > _LOOKAHEAD:
                yield from self._decide(entry := self._window.popleft())
                if self._is_done(entry):
                    return
        while self._window:
            yield from self._decide(self._window.popleft())

    def _is_unreliable(self, time_us: int | None) -> bool:
        if time_us is None or time_us - max(self._latest, default=0) > _SPLICE_AHEAD_US:
            return True
        # No reordering puts a frame before that many of those decoded earlier.
        if len(self._latest) == _MOST_REORDERED and time_us < min(self._latest):
            return True
        self._latest.append(time_us)
        return False

    def _everything_from(self, packet: AnyPacket, packets: Iterator[AnyPacket]) -> Iterator[Choice]:
        yield from self._release()
        for rest in chain((entry.packet for entry in self._window), (packet,), packets):
            yield Choice(rest, wanted=True)

    def _decide(self, entry: _Entry) -> Iterator[Choice]:
        if self._starts_afresh(entry):
            self._left_out |= bool(self._pending)
            self._forget_pending()
        if entry.time_us is not None and self._is_wanted(entry.time_us):
            yield from self._release()
            yield self._chosen(entry.packet, wanted=True)
        else:
            self._pending.append(entry.packet)
            self._pending_bytes += entry.packet.size
            if self._pending_bytes > _MOST_BYTES_PENDING:
                yield from self._release()
        if entry.time_us is not None:
            self._recent.append(entry.time_us)
            if len(self._recent) > _LOOKAHEAD:
                del self._near[bisect_left(self._near, self._recent.popleft())]

    def _release(self) -> Iterator[Choice]:
        for packet in self._pending:
            yield self._chosen(packet, wanted=False)
        self._forget_pending()

    def _forget_pending(self) -> None:
        self._pending.clear()
        self._pending_bytes = 0

    def _chosen(self, packet: AnyPacket, *, wanted: bool) -> Choice:
        after_gap, self._left_out = self._left_out, False
        return Choice(packet, wanted, after_gap)

    def _starts_afresh(self, entry: _Entry) -> bool:
        """Whether decoding can begin here: a keyframe before which none of the later packets is shown."""
        if not entry.packet.is_keyframe or entry.time_us is None:
            return False
        start_us = entry.time_us
        return all(later.time_us is not None and later.time_us > start_us for later in self._window)

    def _is_wanted(self, time_us: int) -> bool:
        """Whether a wanted time falls on this frame, or on the one before if that is the last one wanted."""
        if self._first_us is None:
            self._first_us = self._near[0]
        # The first frame is also shown for the times before it.
        position = bisect_left(self._wanted, time_us) if time_us > self._first_us else 0
        if position < len(self._wanted):
            after = bisect_right(self._near, time_us)
            return after == len(self._near) or self._wanted[position] < self._near[after]
        before = bisect_left(self._near, time_us) - 1
        return before >= 0 and self._near[before] <= self._wanted[-1]

    def _is_done(self, decided: _Entry) -> bool:
        """Whether the last frame wanted and its successor, which ends it, are decided and all others are later."""
        if decided.time_us is None or decided.time_us <= self._wanted[-1]:
            return False
        successor_us = self._near[bisect_right(self._near, self._wanted[-1])]
        return all(entry.time_us is None or entry.time_us > successor_us for entry in self._window)
