"""One pass over a DICOM stream (PS3.10) that arrives in pieces: header, and where all else lies."""

import zlib
from struct import unpack_from

from .assemble import Findings, assemble
from .beginning import ENOUGH, describe_tag, encoding_of, find_start, guess_syntax
from .charset import default_charset as charset_by_name
from .elements import EXTENDED_LENGTHS, EXTENDED_OFFSETS, LONG_VRS
from .errors import NotDicom, NotUnderstood, Truncated
from .instance import Limits, ParsedInstance, first_text
from .scope import UNDEFINED, OpenFragments, OpenSequence, Scope
from .tags import STANDARD, VRS, TagDictionary, describe
from .transfer_syntaxes import is_deflated
from .walker import Walker

_MAX_META = 1 << 20  # bytes of one value of group 0002
_TRANSFER_SYNTAX = 0x0010
_GROUP_LENGTH = 0x0000
_SHORTEST_HEAD = 8  # bytes of an element without its value


class DicomReader(Walker):
    """Reads one instance: `feed` its bytes in pieces of any size, then `close`.

    Memory is bounded by `limits`, whatever the size of the stream: pixel data and other binary
    values are located, not loaded.

    Args:
        dictionary: VRs of private tags and of implicit VR.
        default_charset: for data sets without Specific Character Set; a defined term, a value of
            the option DefaultEncoding, or the name of a Python codec.
        limits: what the stream may ask for.
    """

    def __init__(
        self,
        *,
        dictionary: TagDictionary = STANDARD,
        default_charset: str = "ISO_IR 100",
        limits: Limits = Limits(),  # noqa: B008  # frozen
    ) -> None:
        super().__init__(self._start, dictionary, charset_by_name(default_charset), limits)
        self._size = 0
        self._final = False
        self._meta_syntax = b""
        self._meta_end = -1
        self._syntax = ""
        self._top: Scope | None = None

    @property
    def transfer_syntax(self) -> str:
        """The UID, as soon as the file meta information was read; "" before."""
        return self._syntax

    def feed(self, data: bytes | memoryview) -> None:
        """Take the next bytes of the stream.

        Raises:
            NotDicom: it does not start like DICOM.
            NotUnderstood: read it again with `fallback.read_with_pydicom`.
            LimitExceeded: it needs more than the limits allow.
            Truncated: a deflated data set is damaged.
        """
        self._size += len(data)
        if self._inflating:
            self._inflate(data)
        else:
            self._push(data)

    def close(self) -> ParsedInstance:
        """The instance, after all bytes were fed.

        Raises:
            NotDicom: there is no data set.
            Truncated: the stream ends inside an element.
            NotUnderstood, LimitExceeded: as for `feed`.
        """
        if self._top is None:
            self._final = True
            rest = bytes(self._tail)
            self._tail.clear()
            self._need = 0
            if not self._inflating:
                self._push(rest)
        if self._size == 0:
            find_start(b"")
        top = self._top
        if top is None:
            raise NotDicom("The file has no data set behind its file meta information.")
        self._check_end(top)
        top.sort()
        if next(iter(top.values), "9") < "0003":
            for key in [key for key in top.values if key.startswith("0002")]:
                del top.values[key]  # group 0002 where it does not belong
        if not top.values:
            raise NotDicom("The file holds no data element.")
        tables = self._tables
        return assemble(
            Findings(
                attributes=top.values,
                order=top.order,
                transfer_syntax=self._syntax,
                size=self._size,
                deflated=self._inflating,
                reader="fast",
                problems=self._problems,
                located=self._located,
                deferred=self._deferred,
                encapsulated=self._encapsulated,
                offset_tables=(
                    tables.get(EXTENDED_OFFSETS, b""),
                    tables.get(EXTENDED_LENGTHS, b""),
                ),
            )
        )

    def identity(self) -> tuple[str, str, str, str]:
        """Study, series and SOP instance UID and SOP class, as far as they were read; or ""."""
        values = self._top.values if self._top is not None else {}
        keys = ("0020000D", "0020000E", "00080018", "00080016")
        return tuple(first_text(values, key) for key in keys)  # type: ignore[return-value]

    # -- the start -----------------------------------------------------------------------------

    def _start(self, buffer: bytes, position: int) -> int:
        """State: nothing was read yet."""
        head = buffer[position : position + ENOUGH]
        if len(head) < ENOUGH and not self._final:
            self._need = ENOUGH
            return position
        start, problem = find_start(head)
        if problem:
            self._problems.append(problem)
        self._state = self._meta
        return position + start

    def _meta(self, buffer: bytes, position: int) -> int:
        """State: file meta information, group 0002, always explicit VR little endian."""
        size = len(buffer)
        while True:
            if self._base + position == self._meta_end and is_deflated(self._meta_text()):
                break  # what follows might look like group 0002
            if size - position < 8:
                self._need = 8
                return position
            group, element = unpack_from("<HH", buffer, position)
            if group != 2:
                break
            vr = buffer[position + 4 : position + 6].decode("latin_1")
            if vr not in VRS:
                raise NotUnderstood(
                    f"Element (0002,{element:04X}) has the value representation {vr!r}, which "
                    "PS3.5 does not know."
                )
            header = 12 if vr in LONG_VRS else 8
            if position + header > size:
                self._need = header
                return position
            if header == 12:
                (length,) = unpack_from("<I", buffer, position + 8)
            else:
                (length,) = unpack_from("<H", buffer, position + 6)
            if length > _MAX_META:
                raise NotUnderstood(f"Element (0002,{element:04X}) claims to have {length} bytes.")
            finish = position + header + length
            if finish > size:
                self._need = finish - position
                return position
            if element == _TRANSFER_SYNTAX:
                self._meta_syntax = buffer[position + header : finish]
            position = finish
            if element == _GROUP_LENGTH and length == 4:
                self._meta_end = self._base + finish + unpack_from("<I", buffer, finish - 4)[0]
        return self._end_of_meta(position)

    def _meta_text(self) -> str:
        return self._meta_syntax.decode("latin_1").strip(" \0")

    def _end_of_meta(self, position: int) -> int:
        self._syntax = self._meta_text()
        self._state = self._data_set
        if is_deflated(self._syntax):
            self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
            self._need = 1  # so that the walk ends here
        return position

    def _data_set(self, buffer: bytes, position: int) -> int:
        """State: before the first element."""
        head = buffer[position : position + 8]
        if len(head) < 8:
            self._need = 8
            return position
        if not self._syntax:
            self._syntax = guess_syntax(head)
            if not self._syntax:
                raise NotUnderstood(
                    "Group 0002 names no transfer syntax, and the first element, "
                    f"{describe_tag(head, '<')}, does not show one."
                )
            self._problems.append(f"The transfer syntax is missing, {self._syntax} was guessed.")
        implicit, order, problem = encoding_of(head, self._syntax)
        if problem:
            self._problems.append(problem)
        self._top = Scope(
            None,
            "",
            UNDEFINED,
            self._charset,
            self._problems,
            self._allowance,
            implicit=implicit,
            order=order,
        )
        self._stack.append(self._top)
        self._state = self._elements
        return position

    # -- the end -------------------------------------------------------------------------------

    def _check_end(self, top: Scope) -> None:
        """Whether the stream may end here."""
        if self._allowance.elements < 0:  # many values of the last element
            self._allowance.too_many("", f"{max(top.last, 0):08X}")
        if self._inflater is not None and not self._inflater.eof:
            raise Truncated(
                f"The deflated data set ends too early; {self._position} bytes could be read."
            )
        if self._skip:
            raise Truncated(
                f"The stream ends at byte {self._position}, inside the value of "
                f"{describe(*self._current)}: {self._skip} bytes are missing."
            )
        while len(self._stack) > 1 and not self._tail and self._closes_here():
            pass
        if len(self._stack) > 1:
            raise Truncated(f"The stream ends at byte {self._length}, {self._where()}.")
        tail = bytes(self._tail)
        if not tail.strip(b"\0"):
            return
        if len(tail) >= _SHORTEST_HEAD:
            raise Truncated(
                f"The stream ends at byte {self._length}, inside {describe_tag(tail, top.order)} "
                f"that starts at byte {self._position}."
            )
        self._problems.append(
            f"Behind the data set, at byte {self._position}, there is {tail.hex(' ')}, too short "
            "for an element."
        )

    def _closes_here(self) -> bool:
        """Close what ends with a defined length at the very end of the stream."""
        last = self._stack[-1]
        if isinstance(last, OpenFragments) or last.end != self._position:
            return False
        if isinstance(last, OpenSequence):
            self._close_sequence(last, self._position)
        else:
            self._close_item(last, 0, 0)
        return True

    @property
    def _length(self) -> int:
        return self._position + len(self._tail)

    def _where(self) -> str:
        last = self._stack[-1]
        if isinstance(last, OpenFragments):
            return f"between two fragments of {describe(last.parent.path, last.key)}"
        if isinstance(last, OpenSequence):
            return f"between two items of {describe(last.parent.path, last.key)}"
        if self._tail:
            return f"inside {describe(last.path, self._tail_key(last.order))}"
        return f"inside an item, {last.path.strip('/')}"

    def _tail_key(self, order: str) -> str:
        if len(self._tail) < 4:
            return "00000000"
        group, element = unpack_from(order + "HH", self._tail)
        return f"{group:04X}{element:04X}"
