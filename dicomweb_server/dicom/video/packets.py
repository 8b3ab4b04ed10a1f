"""Coded streams in the packets of MPEG-2 (ITU-T H.222.0): transport and program streams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

PACK: Final = b"\0\0\1\xba"
_START: Final = b"\0\0\1"
_END: Final = 0xB9
_VIDEO: Final = range(0xE0, 0xF0)
_SYNC: Final = 0x47
_PACKET: Final = 188
_LAYOUTS: Final = ((0, 188), (4, 192), (0, 204))
"""Where the first packet begins, and the next one: plain, with time stamps, with parity."""


def transport_layout(beginning: bytes) -> tuple[int, int] | None:
    """One of the layouts of transport streams, None if the bytes are no such stream."""
    for first, step in _LAYOUTS:
        marks = beginning[first : first + 4 * step : step]
        if len(beginning) >= first + _PACKET and marks == bytes([_SYNC]) * len(marks):
            return first, step
    return None


def from_transport(pieces: Iterable[bytes], step: int) -> Iterator[bytes]:
    """The coded stream of the first PID that carries video (2.4.3).

    Args:
        pieces: the stream from its first packet on; packets lie `step` apart in each.
        step: as `transport_layout` tells it.
    """
    video = -1
    for piece in pieces:
        parts = []
        for at in range(0, len(piece) - _PACKET + 1, step):
            if piece[at] != _SYNC:
                continue
            begins, pid = piece[at + 1] & 0x40, (piece[at + 1] & 0x1F) << 8 | piece[at + 2]
            if video < 0 and begins and _is_video(_packet(piece, at)):
                video = pid
            if pid == video:
                content = _packet(piece, at)
                parts.append(_without_header(content) if begins else content)
        yield b"".join(parts)


def _packet(stream: bytes, at: int) -> bytes:
    """The content of one transport packet, behind its adaptation field (2.4.3.4)."""
    control = stream[at + 3] >> 4 & 3
    if not control & 1:
        return b""
    start = at + 5 + stream[at + 4] if control & 2 else at + 4
    return stream[start : at + _PACKET]


def _is_video(packet: bytes) -> bool:
    return packet[:3] == _START and len(packet) > 8 and packet[3] in _VIDEO


def _without_header(packet: bytes) -> bytes:
    """The content of a packet of a stream (2.4.3.6)."""
    return packet[9 + packet[8] :] if _is_video(packet) else b""


def from_program(pieces: Iterable[bytes], most: int) -> Iterator[bytes]:
    """The coded stream of the video packets of a program stream (2.5.3), or of packets alone.

    It ends behind `most` packets, however small they are.
    """
    waiting = b""
    for piece in pieces:
        stream = waiting + piece
        parts: list[bytes] = []
        start, end = _next_packet(stream, 0)
        while end <= len(stream):
            most -= 1
            if most < 0 or stream[start + 3] == _END:
                yield b"".join(parts)
                return
            parts.append(_without_header(stream[start:end]))
            start, end = _next_packet(stream, end)
        waiting = stream[start:]
        yield b"".join(parts)
    yield _without_header(waiting)


def _next_packet(stream: bytes, at: int) -> tuple[int, int]:
    """Where the next packet begins and ends; one that is not whole ends behind the stream."""
    start = stream.find(_START, at)
    if start < 0:
        return max(at, len(stream) - len(_START) + 1), len(stream) + 1
    if start + 6 > len(stream):
        return start, len(stream) + 1
    if stream[start + 3] <= _END:
        return start, start + 4
    if stream[start : start + 4] == PACK:
        return start, start + 12
    return start, start + 6 + int.from_bytes(stream[start + 4 : start + 6], "big")
