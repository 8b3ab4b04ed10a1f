"""Where the frames of pixel data lie (PS3.5, 8 and A.4), as byte ranges of the stream."""

import sys
import zlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from struct import Struct, error
from typing import NamedTuple

from .errors import DicomError, FrameNotLocated, NoSuchFrame

_VERSION = 1
_STEP = 256  # fragments between two marks
_HEAD = Struct("<BBIQQQIQII")
_ENCAPSULATED, _FRAMES_KNOWN, _FRAMES_ARE_FRAGMENTS, _FRAME_LENGTHS = 1, 2, 4, 8
_VRS = ("OB", "OW", "OF", "OD", "UN", "OL", "OV")


class ByteRange(NamedTuple):
    """Bytes of a stream."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class PixelData:
    """Pixel Data, Float Pixel Data or Double Float Pixel Data of a main data set.

    Attributes:
        tag: "7FE00010", "7FE00008" or "7FE00009".
        vr: as in DICOM JSON; always "OB" if encapsulated.
        offset, length: bytes of the whole value; if encapsulated, from the item tag of the Basic
            Offset Table to before the sequence delimiter.
        encapsulated: whether the value consists of fragments.
        number_of_frames: 1 if the data set does not tell; of the table where that is right.
        frame_bits: native only: bits of a frame; 0 if the data set does not tell.
        offset_table: encapsulated only: the value of the Basic Offset Table, maybe empty.
    """

    tag: str
    vr: str
    offset: int
    length: int
    encapsulated: bool
    number_of_frames: int
    frame_bits: int = 0
    offset_table: ByteRange = field(default_factory=lambda: ByteRange(0, 0))
    lengths: "array[int]" = field(default_factory=lambda: array("I"), repr=False)
    # Index of the first fragment of each frame; None if frames cannot be told apart. Empty: each
    # fragment is a frame.
    starts: "array[int] | None" = field(default=None, repr=False)
    # Length of each frame without its padding, where the Extended Offset Table tells.
    frame_lengths: "array[int] | None" = field(default=None, repr=False)
    # Sum of the sizes of all fragments and their item headers before each 256th: `marks_of`.
    marks: "array[int]" = field(default_factory=lambda: array("Q"), repr=False)

    @property
    def fragments(self) -> tuple[ByteRange, ...]:
        """The value of each fragment, without the offset table. Empty if native."""
        offset = self._first
        ranges = []
        for length in self.lengths:
            ranges.append(ByteRange(offset + 8, length))
            offset += 8 + length
        return tuple(ranges)

    @property
    def memory(self) -> int:
        """About how many bytes of memory this takes."""
        arrays = (self.lengths, self.marks, self.starts, self.frame_lengths)
        return 1024 + sum(len(each) * each.itemsize for each in arrays if each)

    @property
    def _first(self) -> int:
        return self.offset_table.offset + self.offset_table.length

    @property
    def frames_known(self) -> bool:
        """Whether `frame` can answer."""
        return self.starts is not None if self.encapsulated else self.frame_bits > 0

    def frame(self, number: int) -> tuple[ByteRange, ...]:
        """The byte ranges that make up a frame, counted from 1.

        Encapsulated: one range for each fragment of the frame, without item headers. Native: one
        range; with one bit per pixel, a frame that does not start on a byte comes with the bits of
        its neighbours, see `bit_offset`.

        Raises:
            NoSuchFrame: the data set tells of no such frame.
            FrameNotLocated: it should be there, but is not, or frames cannot be told apart.
        """
        if self.number_of_frames < 1:
            raise FrameNotLocated("The pixel data has no frames: Number of Frames is 0.")
        if not 1 <= number <= self.number_of_frames:
            raise NoSuchFrame(
                f"Frame {number} does not exist: the pixel data has frames 1 to "
                f"{self.number_of_frames}."
            )
        if not self.frames_known:
            raise FrameNotLocated(
                f"Frame {number} cannot be located: "
                + (
                    f"the {len(self.lengths)} fragments of the pixel data cannot be assigned to "
                    f"its {self.number_of_frames} frames."
                    if self.encapsulated
                    else "the data set does not tell the size of a frame (Rows, Columns, "
                    "Samples per Pixel, Bits Allocated)."
                )
            )
        return self._encapsulated(number - 1) if self.encapsulated else self._native(number - 1)

    def bit_offset(self, number: int) -> int:
        """How many low bits of the first byte of a native frame belong to the one before it."""
        return (number - 1) * self.frame_bits % 8

    def _native(self, index: int) -> tuple[ByteRange, ...]:
        first = index * self.frame_bits // 8
        last = -(-(index + 1) * self.frame_bits // 8)
        if last > self.length:
            raise FrameNotLocated(
                f"Frame {index + 1} ends {last} bytes into pixel data that has {self.length} bytes."
            )
        return (ByteRange(self.offset + first, last - first),)

    def _encapsulated(self, index: int) -> tuple[ByteRange, ...]:
        starts = self.starts or array("I")
        begin = starts[index] if starts else index
        end = begin + 1
        if starts:
            end = starts[index + 1] if index + 1 < len(starts) else len(self.lengths)
        mark = min(begin // _STEP, len(self.marks))
        known = mark * _STEP
        offset = self._first + (self.marks[mark - 1] if mark else 0)
        offset += 8 * (begin - known) + sum(self.lengths[known:begin])
        ranges = []
        for length in self.lengths[begin:end]:
            ranges.append(ByteRange(offset + 8, length))
            offset += 8 + length
        if self.frame_lengths is not None and len(ranges) == 1:
            only = ranges[0]
            return (ByteRange(only.offset, min(only.length, self.frame_lengths[index])),)
        return tuple(ranges)

    def to_bytes(self) -> bytes:
        """All of this in a compact form for `from_bytes`; native data takes 50 bytes."""
        flags = (
            _ENCAPSULATED * self.encapsulated
            | _FRAMES_KNOWN * (self.starts is not None)
            | _FRAMES_ARE_FRAGMENTS * (self.starts is not None and not self.starts)
            | _FRAME_LENGTHS * (self.frame_lengths is not None)
        )
        head = _HEAD.pack(
            _VERSION,
            flags | _VRS.index(self.vr) << 4,
            int(self.tag, 16),
            self.offset,
            self.length,
            self.frame_bits,
            self.number_of_frames,
            self.offset_table.offset,
            self.offset_table.length,
            len(self.lengths),
        )
        if not self.encapsulated:
            return head
        arrays = b"".join(
            _little_endian(part)
            for part in (self.lengths, self.marks, self.starts, self.frame_lengths)
            if part
        )
        return head + zlib.compress(arrays, 1)

    @classmethod
    def from_bytes(cls, data: bytes) -> "PixelData":
        """The inverse of `to_bytes`.

        Raises:
            DicomError: the bytes are of another version, or damaged.
        """
        try:
            return cls._unpack(data)
        except (error, zlib.error, IndexError, ValueError, EOFError) as problem:
            raise DicomError(f"A stored frame index cannot be read: {problem}.") from problem

    @classmethod
    def _unpack(cls, data: bytes) -> "PixelData":
        if data[:1] != bytes((_VERSION,)):
            raise ValueError(f"it has version {data[:1].hex()!r}, possible is {_VERSION}")
        (_, flags, tag, offset, length, bits, frames, table, table_length, count) = (
            _HEAD.unpack_from(data)
        )
        rest = zlib.decompress(data[_HEAD.size :]) if flags & _ENCAPSULATED else b""
        many = flags & _FRAMES_KNOWN and not flags & _FRAMES_ARE_FRAGMENTS
        parts = (
            ("I", count),
            ("Q", max(count - 1, 0) // _STEP),
            ("I", frames if many else 0),
            ("Q", frames if flags & _FRAME_LENGTHS else 0),
        )
        expected = sum(number * array(code).itemsize for code, number in parts)
        if len(rest) != expected:
            raise ValueError(f"it holds {len(rest)} bytes instead of {expected}")
        arrays = []
        at = 0
        for code, number in parts:
            end = at + number * array(code).itemsize
            arrays.append(_from_little_endian(code, rest[at:end]))
            at = end
        lengths, marks, starts, frame_lengths = arrays
        return cls(
            tag=f"{tag:08X}",
            vr=_VRS[flags >> 4],
            offset=offset,
            length=length,
            encapsulated=bool(flags & _ENCAPSULATED),
            number_of_frames=frames,
            frame_bits=bits,
            offset_table=ByteRange(table, table_length),
            lengths=lengths,
            starts=starts if flags & _FRAMES_KNOWN else None,
            frame_lengths=frame_lengths if flags & _FRAME_LENGTHS else None,
            marks=marks,
        )


def marks_of(lengths: "array[int]") -> "array[int]":
    """Offsets of every 256th fragment from the first, so that finding one takes constant time."""
    marks = array("Q")
    offset = 0
    for start in range(0, len(lengths) - _STEP, _STEP):
        offset += sum(lengths[start : start + _STEP]) + 8 * _STEP
        marks.append(offset)
    return marks


def _little_endian(values: "array[int]") -> bytes:
    if sys.byteorder == "little":
        return values.tobytes()
    swapped = array(values.typecode, values)
    swapped.byteswap()
    return swapped.tobytes()


def _from_little_endian(code: str, data: bytes) -> "array[int]":
    values = array(code)
    values.frombytes(data)
    if sys.byteorder != "little":
        values.byteswap()
    return values


@dataclass(frozen=True, slots=True)
class Clues:
    """What an encapsulated stream tells about its frames, apart from its fragments.

    Attributes:
        frames: Number of Frames, None if the data set does not have it.
        basic: offsets of the Basic Offset Table, from the first fragment's item tag.
        extended: those of the Extended Offset Table, and the lengths it gives (PS3.3, C.7.6.3.1.8).
        heads: for each fragment, 1 if an image starts there.
        video: whether the transfer syntax makes one stream of all frames.
    """

    frames: int | None
    basic: Sequence[int] = ()
    extended: Sequence[int] = ()
    extended_lengths: Sequence[int] = ()
    heads: bytes = b""
    video: bool = False


class FrameMap(NamedTuple):
    """Which fragments make up which frame; see the attributes of `PixelData`."""

    number_of_frames: int
    starts: "array[int] | None"
    frame_lengths: "array[int] | None" = None
    problem: str = ""


def map_frames(lengths: "array[int]", clues: Clues) -> FrameMap:
    """Assign fragments to frames (PS3.5, A.4): by table, by count, else by how fragments start.

    A table that does not fit the fragments is ignored. If it fits them but not Number of Frames,
    and nothing else does, the table is believed.
    """
    frames = 1 if clues.frames is None else max(clues.frames, 0)
    if clues.video:
        known = frames == 1
        return FrameMap(frames, array("I", (0,)) if known and lengths else None)
    tables = [(clues.extended, clues.extended_lengths), (clues.basic, ())]
    indices = _positions(lengths) if clues.extended or clues.basic else {}
    believed: array[int] | None = None
    for offsets, given in tables:
        starts = _by_table(offsets, indices)
        if starts is None:
            continue
        if clues.frames is None or len(starts) == frames:
            exact = array("Q", given) if len(given) == len(starts) else None
            return FrameMap(len(starts), _compact(starts, lengths), exact)
        believed = believed or starts
    problem = "Offset table and fragments of the pixel data disagree." if indices else ""
    found = _by_count(lengths, frames, clues.heads)
    if found is None and believed is not None:
        problem = (
            f"Number of Frames is {frames}, the offset table of the pixel data has {len(believed)}."
        )
        return FrameMap(len(believed), _compact(believed, lengths), problem=problem)
    return FrameMap(frames, found, problem=problem)


def _positions(lengths: "array[int]") -> dict[int, int]:
    """Index of each fragment by the offset of its item tag from the first one."""
    positions = {}
    offset = 0
    for index, length in enumerate(lengths):
        positions[offset] = index
        offset += 8 + length
    return positions


def _by_table(offsets: Sequence[int], indices: dict[int, int]) -> "array[int] | None":
    if not offsets or offsets[0] != 0:
        return None
    starts = array("I")
    last = -1
    for offset in offsets:
        index = indices.get(offset, -1)
        if index <= last:
            return None
        starts.append(index)
        last = index
    return starts


def _by_count(lengths: "array[int]", frames: int, heads: bytes) -> "array[int] | None":
    count = len(lengths)
    if frames == 0 or count == 0:
        return None
    if count == frames:
        return array("I")
    if frames == 1:
        return array("I", (0,))
    if count > frames and heads.count(1) == frames and heads[:1] == b"\1":
        return array("I", (index for index, head in enumerate(heads) if head))
    return None


def _compact(starts: "array[int]", lengths: "array[int]") -> "array[int]":
    """No indices at all where each fragment is a frame."""
    return array("I") if len(starts) == len(lengths) else starts
