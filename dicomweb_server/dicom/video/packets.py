"""Coded streams in the packets of MPEG-2 (ITU-T H.222.0): transport and program streams."""

from __future__ import annotations

from typing import Final

PACK: Final = b"\0\0\1\xba"
_START: Final = b"\0\0\1"
_END: Final = 0xB9
_VIDEO: Final = range(0xE0, 0xF0)
_SYNC: Final = 0x47
_PACKET: Final = 188
_LAYOUTS: Final = ((0, 188), (4, 192), (0, 204))
"""Where the first packet begins, and the next one: plain, with time stamps, with parity."""
_MOST: Final = 20_000
"""Packets of a program stream that are looked at."""


def transport_layout(beginning: bytes) -> tuple[int, int] | None:
    """One of the layouts of transport streams, None if the bytes are no such stream."""
    for first, step in _LAYOUTS:
        marks = beginning[first : first + 4 * step : step]
        if len(beginning) >= first + _PACKET and marks == bytes([_SYNC]) * len(marks):
            return first, step
    return None


def from_transport(stream: bytes, layout: tuple[int, int]) -> bytes:
    """The coded stream of the first PID that carries video (2.4.3)."""
    video = -1
    parts = []
    for at in range(layout[0], len(stream) - _PACKET + 1, layout[1]):
        if stream[at] != _SYNC:
            continue
        content, begins = _packet(stream, at), bool(stream[at + 1] & 0x40)
        pid = int.from_bytes(stream[at + 1 : at + 3], "big") & 0x1FFF
        if video < 0 and begins and _is_video(content):
            video = pid
        if pid == video:
            parts.append(_without_header(content) if begins else content)
    return b"".join(parts)


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


def from_program(stream: bytes) -> bytes:
    """The coded stream of the video packets of a program stream (2.5.3), or of packets alone."""
    at, parts = 0, []
    for _ in range(_MOST):
        at = stream.find(_START, at)
        if at < 0 or at + 6 > len(stream) or stream[at + 3] == _END:
            break
        if stream[at + 3] < _END:
            at += 4
        elif stream[at : at + 4] == PACK:
            at += 12
        else:
            size = 6 + int.from_bytes(stream[at + 4 : at + 6], "big")
            parts.append(_without_header(stream[at : at + size]))
            at += size
    return b"".join(parts)
