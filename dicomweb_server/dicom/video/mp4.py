"""The video of an MP4 file: its coded stream, and how many frames there are (ISO/IEC 14496-12).

Only what describes it is read, wherever it lies in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from struct import iter_unpack
from typing import Final

from dicomweb_server.dicom.boxes import Box, boxes, find_box
from dicomweb_server.dicom.errors import DicomError
from dicomweb_server.dicom.stream_bytes import StreamBytes

from . import h264, hevc
from .header import Coded
from .nal import frame_rate

_WHAT: Final = "MP4 file"
_CONFIGURATIONS: Final[Mapping[bytes, Callable[[bytes, int, int], Coded]]] = {
    b"avcC": h264.from_configuration,
    b"hvcC": hevc.from_configuration,
}
_LONGEST: Final = 1 << 16
"""Bytes of a configuration that are read; parameter sets stand at its beginning."""
_MOST_RUNS: Final = 1024
_JITTER: Final = 1.5
_VISUAL: Final = 78  # bytes of a sample entry before its boxes (12.1.3)
FIRST_BOXES: Final = frozenset((
    *(b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"uuid", b"pdin", b"sidx"),
))  # fmt: skip


def read_mp4(data: StreamBytes) -> tuple[Coded, int | None, Fraction | None]:
    """The coded stream, number and rate of frames of the first video; raises `DicomError`."""
    top = boxes(data, 0, data.length, _WHAT)
    movie = next((each for each in top if each.kind == b"moov"), None)
    if movie is None:
        raise DicomError("The MP4 file has no box moov, which says what it holds.")
    kinds = []
    for track in _video_tracks(data, movie):
        coded, kind = _sample_entry(data, track)
        if coded is not None:
            count, rate = _timing(data, track)
            if find_box(data, movie, (b"mvex",), _WHAT):
                rate = rate if count else coded.rate
                count += _in_fragments(data, _track_number(data, track))
            return coded, count or None, rate
        kinds.append(kind)
    raise DicomError(
        f"The MP4 file has {'video of the kind ' + ', '.join(kinds) if kinds else 'no video'}; "
        "possible are avc1 and avc3 (H.264), hvc1 and hev1 (HEVC)."
    )


def _video_tracks(data: StreamBytes, movie: Box) -> Iterator[Box]:
    for track in boxes(data, movie.start, movie.end, _WHAT):
        if track.kind == b"trak":
            handler = find_box(data, track, (b"mdia", b"hdlr"), _WHAT)
            if handler and data.get(handler.start + 8, 4, _WHAT) == b"vide":
                yield track


def _sample_entry(data: StreamBytes, track: Box) -> tuple[Coded | None, str]:
    """What the first sample description says (8.5.2), and its kind; None if it is not known."""
    table = find_box(data, track, (b"mdia", b"minf", b"stbl", b"stsd"), _WHAT)
    inside = boxes(data, table.start + 8, table.end, _WHAT) if table else iter(())
    entry = next(inside, None)
    if entry is None:
        raise DicomError("The MP4 file has a video without a sample description (stsd).")
    columns, rows = (data.number(entry.start + at, 2, _WHAT) for at in (24, 26))
    for each in boxes(data, entry.start + _VISUAL, entry.end, _WHAT):
        read = _CONFIGURATIONS.get(each.kind)
        if read is not None:
            record = data.get(each.start, min(each.end - each.start, _LONGEST), _WHAT)
            return read(record, rows, columns), ""
    return None, repr(entry.kind.decode("latin-1"))


def _timing(data: StreamBytes, track: Box) -> tuple[int, Fraction | None]:
    """Number of samples (8.7.3), which are frames, and their rate (8.4.2, 8.6.1.2)."""
    media = find_box(data, track, (b"mdia", b"mdhd"), _WHAT)
    samples = find_box(data, track, (b"mdia", b"minf", b"stbl"), _WHAT)
    if media is None or samples is None:
        return 0, None
    found = {each.kind: each for each in boxes(data, samples.start, samples.end, _WHAT)}
    sizes = found.get(b"stsz") or found.get(b"stz2")
    count = data.number(sizes.start + 8, 4, _WHAT) if sizes else 0
    long = data.number(media.start, 1, _WHAT) == 1
    scale = data.number(media.start + (20 if long else 12), 4, _WHAT)
    steps = _steps(data, found.get(b"stts"))
    if not count or not steps:
        return count, None
    if len(steps) == 1:
        return count, frame_rate(steps[0], scale)
    duration = data.number(media.start + (24 if long else 16), 8 if long else 4, _WHAT)
    return count, frame_rate(duration, scale * count) if _even(steps) else None


def _steps(data: StreamBytes, times: Box | None) -> list[int]:
    """How long samples last (8.6.1.2), each run of equal ones once; the last one may be cut."""
    if times is None:
        return []
    runs = min(data.number(times.start + 4, 4, _WHAT), _MOST_RUNS)
    steps = [step for _, step in iter_unpack(">II", data.get(times.start + 8, 8 * runs, _WHAT))]
    return steps[:-1] if len(steps) > 1 and steps[-1] < steps[-2] else steps


def _even(steps: list[int]) -> bool:
    """Whether a mean is meant: clocks of cameras differ a little from frame to frame."""
    return min(steps) > 0 and max(steps) <= _JITTER * min(steps)


def _track_number(data: StreamBytes, track: Box) -> int:
    header = find_box(data, track, (b"tkhd",), _WHAT)
    if header is None:
        return 0
    return data.number(header.start + (20 if data.number(header.start, 1, _WHAT) else 12), 4, _WHAT)


def _in_fragments(data: StreamBytes, track: int) -> int:
    """Samples of a track in movie fragments (8.8)."""
    count = 0
    for fragment in boxes(data, 0, data.length, _WHAT):
        if fragment.kind != b"moof":
            continue
        for part in boxes(data, fragment.start, fragment.end, _WHAT):
            header = find_box(data, part, (b"tfhd",), _WHAT) if part.kind == b"traf" else None
            if header and data.number(header.start + 4, 4, _WHAT) == track:
                runs = boxes(data, part.start, part.end, _WHAT)
                count += sum(data.number(r.start + 4, 4, _WHAT) for r in runs if r.kind == b"trun")
    return count
