"""Damages files as disks, networks and other programs do, and as somebody would who means harm; each by a seed."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from random import Random

Mutation = Callable[[bytes, Random], bytes]

_LYING = (0, 1, 7, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)
_ODD_NUMBERS = ("NaN", "inf", "-inf", "1e999", "-1", "9" * 30, "0x1F", "1_000", "", "١٢")


def flipped(data: bytes, random: Random) -> bytes:
    """Up to 32 single bits changed."""
    changed = bytearray(data)
    for _ in range(random.randint(1, 32)):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def flipped_in_head(data: bytes, random: Random) -> bytes:
    """The same within the first 4 KiB, where most of what a reader believes stands."""
    return flipped(data[:4096], random) + data[4096:]


def truncated(data: bytes, random: Random) -> bytes:
    """Cut at any byte, also before the first."""
    return data[: random.randrange(len(data))]


def without_middle(data: bytes, random: Random) -> bytes:
    """A piece cut out."""
    start, end = _span(data, random)
    return data[:start] + data[end:]


def spliced(data: bytes, random: Random) -> bytes:
    """A piece once more at another place, which moves what follows."""
    start, end = _span(data, random)
    place = random.randrange(len(data))
    return data[:place] + data[start:end] + data[place:]


def blank(data: bytes, random: Random) -> bytes:
    """A run of NUL bytes, as a file has that was not written to its end."""
    start, end = _span(data, random)
    return data[:start] + bytes(end - start) + data[end:]


def lying_number(data: bytes, random: Random) -> bytes:
    """A number of 4 or 8 bytes that lies, or is no number, anywhere."""
    number = random.choice(
        [struct.pack(order + "I", random.choice(_LYING)) for order in "<>"]
        + [
            struct.pack(order + kind, value)
            for order in "<>"
            for kind in "fd"
            for value in (float("nan"), float("inf"))
        ]
    )
    place = random.randrange(max(1, len(data) - len(number)))
    return data[:place] + number + data[place + len(number) :]


def lying_box(data: bytes, random: Random) -> bytes:
    """The size beside a box's name (four letters; before it in MP4, behind it in AVI) lies."""
    names = [match.start() for match in re.finditer(rb"[A-Za-z0-9]{4}", data[:8192])]
    if not names:
        return lying_number(data, random)
    name = random.choice(names)
    place = max(0, name + random.choice((-4, 4)))
    size = struct.pack(random.choice("<>") + "I", random.choice((*_LYING, random.randrange(2 * len(data)))))
    return data[:place] + size + data[place + 4 :]


def moved_box(data: bytes, random: Random) -> bytes:
    """A box with its name put elsewhere, in whole or over what was there."""
    names = [match.start() for match in re.finditer(rb"[a-z]{4}", data)]
    if len(names) < 2:
        return spliced(data, random)
    source, target = random.choice(names), random.choice(names)
    box = data[max(0, source - 4) : source + random.randint(8, 512)]
    return data[: max(0, target - 4)] + box + data[max(0, target - 4) + (len(box) if random.random() < 0.5 else 0) :]


BINARY: tuple[Mutation, ...] = (
    flipped, flipped_in_head, truncated, without_middle, spliced, blank, lying_number, lying_box, moved_box,
)  # fmt: skip


def odd_number(data: bytes, random: Random) -> bytes:
    """A number of a text replaced by one that is none, has no end or is far too large."""
    numbers = list(re.finditer(rb"\d+(\.\d+)?", data))
    if not numbers:
        return flipped(data, random)
    number = random.choice(numbers)
    return data[: number.start()] + random.choice(_ODD_NUMBERS).encode() + data[number.end() :]


def long_line(data: bytes, random: Random) -> bytes:
    """A megabyte without a line's end, of one character or of a piece of the text."""
    start, end = _span(data, random)
    filling = random.choice([b"a", b"<", b"[", b'"', b",", b"(", data[start:end].replace(b"\n", b" ") or b" "])
    place = random.randrange(len(data))
    return data[:place] + (filling * (1_000_000 // len(filling) + 1)) + data[place:]


def deep(data: bytes, random: Random) -> bytes:
    """Brackets in brackets, 100,000 deep."""
    opening, closing = random.choice([(b"[", b"]"), (b'{"a":', b"}"), (b"<i>", b"</i>"), (b"((", b"))")])
    place = random.randrange(len(data))
    nested = opening * 100_000 + (closing * 100_000 if random.random() < 0.5 else b"")
    return random.choice([nested, data[:place] + nested + data[place:]])


def other_encoding(data: bytes, random: Random) -> bytes:
    """The text in another encoding, with or without its mark, or of bytes that are none."""
    text = data.decode("utf-8", errors="replace")
    encoding = random.choice(
        ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "utf-8-sig", "utf-7", "shift_jis"]
    )
    encoded = text.encode(encoding, errors="replace")
    return encoded if random.random() < 0.7 else encoded[:-1] + b"\xff\xfe\x80"


def lone_surrogate(data: bytes, random: Random) -> bytes:
    """Text that no encoding holds, spelt as JSON and as bytes."""
    place = random.randrange(len(data))
    return data[:place] + random.choice([rb"\ud800", b"\xed\xa0\x80", b"\x00", b"\x1b[2J", "‮".encode()]) + data[place:]


def shuffled_lines(data: bytes, random: Random) -> bytes:
    """The lines in another order, some twice, or ended in another way."""
    lines = data.split(b"\n")
    random.shuffle(lines)
    return random.choice([b"\n", b"\r", b"\r\r\n", b"\n\n"]).join(lines + lines[: random.randrange(len(lines) + 1)])


TEXT: tuple[Mutation, ...] = (
    flipped, truncated, without_middle, spliced, blank,
    odd_number, long_line, deep, other_encoding, lone_surrogate, shuffled_lines,
)  # fmt: skip


def mutant(data: bytes, mutations: tuple[Mutation, ...], seed: str) -> tuple[str, bytes]:
    """One of ``mutations``, one time in four a second on top; what was done, and the damaged bytes."""
    random = Random(seed)
    done = []
    for _ in range(2 if random.random() < 0.25 else 1):
        if data:
            mutation = random.choice(mutations)
            data = mutation(data, random)
            done.append(mutation.__name__)
    return "+".join(done), data


def _span(data: bytes, random: Random) -> tuple[int, int]:
    start = random.randrange(len(data))
    return start, min(len(data), start + random.randint(1, max(1, len(data) // 4)))
