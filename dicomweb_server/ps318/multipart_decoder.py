"""A push decoder for multipart bodies (RFC 2046, 5.1): bytes go in, events come out, no I/O.

What it does about the bodies that real clients send:

- A delimiter is a line that starts with `--boundary`, also after a bare LF; spaces may follow it.
- A part's own Content-Length is a hint: so many bytes are taken unseen (they may hold anything,
  even the boundary), then a delimiter must follow. If none does, the part has failed and the
  search goes on.
- Damage is reported, never raised and never silent: each part that began ends with `PartEnd`, and
  bytes that belong to no part are counted by `Garbage`. Parts that were whole before it stay good.
- Not more than the headers of one part, or one delimiter line, is ever buffered.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

_LONGEST_PADDING: Final = 256
_SAMPLE: Final = 64
_SIGNS_OF_A_PART: Final = (b"content-type:", b"DICM")

Where = Literal["preamble", "between parts", "epilogue"]


@dataclass(frozen=True, slots=True)
class PartStart:
    """A part begins.

    `index` counts from 0. `headers`: lower-case name to value, the first of equal names.
    `problem`: a sentence if some header line could not be read, else None.
    """

    index: int
    headers: Mapping[str, str]
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class PartData:
    """The next bytes of the part: the bytes that were fed, or a view of them."""

    data: bytes | memoryview


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part is over.

    Not `complete`: its bytes must not be used, and `problem` says why in a sentence. `swallowed`:
    delimiters that lay within the bytes that a wrong Content-Length declared; as many parts are
    lost in them.
    """

    index: int
    complete: bool
    problem: str | None = None
    swallowed: int = 0


@dataclass(frozen=True, slots=True)
class Garbage:
    """Bytes that belong to no part; `sample` is the beginning of them.

    RFC 2046 allows a preamble and an epilogue. `looks_like_a_part`: a header of a part or the mark
    of a DICOM file was seen in it, so data may have been lost (a damaged boundary).
    """

    where: Where
    size: int
    sample: bytes
    looks_like_a_part: bool


@dataclass(frozen=True, slots=True)
class End:
    """The body is over.

    `complete`: the closing delimiter was there; otherwise `problem` is a sentence.
    """

    complete: bool
    problem: str | None = None


Event = PartStart | PartData | PartEnd | Garbage | End


class _Discarded:
    """Counts bytes that belong to no part, and remembers how they look."""

    def __init__(self, where: Where) -> None:
        self.where: Where = where
        self.size = 0
        self.suspicious = False
        self._sample = b""
        self._tail = b""

    def add(self, data: bytes) -> None:
        if not data:
            return
        self.size += len(data)
        if len(self._sample) < _SAMPLE:
            self._sample = (self._sample + data[:_SAMPLE])[:_SAMPLE]
        if not self.suspicious:
            window = self._tail + data
            self.suspicious = _SIGNS_OF_A_PART[1] in window or _SIGNS_OF_A_PART[0] in window.lower()
            self._tail = window[-16:]

    def event(self) -> Garbage | None:
        """None if there was nothing but line ends and spaces."""
        if self.size <= _SAMPLE and not self._sample.strip():
            return None
        return Garbage(self.where, self.size, self._sample, self.suspicious)


class MultipartDecoder:
    """Feed it the body in pieces of any size; `close` when the body is over.

    1 MiB or more at a time is fastest. `feed` after `close` raises RuntimeError; the content never
    raises.
    """

    def __init__(
        self, boundary: bytes, *, max_header_bytes: int = 16384, max_parts: int | None = None
    ) -> None:
        """`max_header_bytes`: of one part, else it has failed. `max_parts`: None for any number."""
        if not boundary:
            raise ValueError("The boundary is empty.")
        self._delimiter = b"--" + boundary
        self._needle = b"\n" + self._delimiter
        self._max_header_bytes = max_header_bytes
        self._max_parts = max_parts
        self._buffer = b""
        self._at = 0
        self._events: list[Event] = []
        self._index = -1
        self._in_part = False
        self._only_lf = False  # the delimiter lines end with LF alone: a CR before one is content
        self._line_start = True  # the byte before the buffer's position ended a line
        self._missing = 0  # bytes of the declared Content-Length still to come
        self._declared = 0
        self._swallowed = 0  # delimiters among the declared bytes
        self._declared_tail = b""
        self._discarded = _Discarded("preamble")
        self._problem: str | None = None
        self._closing_seen = False
        self._closed = False
        self._step: Callable[[], bool] = self._search_part

    @property
    def buffered(self) -> int:
        """Bytes kept until more arrive: at most the limit of headers, or one delimiter line."""
        return len(self._buffer)

    def feed(self, data: bytes | bytearray | memoryview) -> list[Event]:
        """The events of the next bytes of the body. Empty `data` is nothing, not the end."""
        if self._closed:
            raise RuntimeError("feed() after close()")
        fresh = data if isinstance(data, bytes) else bytes(data)
        self._buffer = self._buffer + fresh if self._buffer else fresh
        while self._step():
            pass
        # keeps the few bytes that are needed, not the whole piece
        self._buffer, self._at = self._buffer[self._at :], 0
        return self._take_events()

    def close(self) -> list[Event]:
        """The last events: the body ended here. Each body ends with exactly one `End`."""
        if self._closed:
            return []
        self._closed = True
        if self._closing_seen or self._problem is not None:
            self._discard_all()
        else:
            self._end_early()
        self._tell_discarded()
        self._events.append(End(self._problem is None, self._problem))
        return self._take_events()

    # Each step consumes what it can and returns whether the next step may go on at once.

    def _search_part(self) -> bool:
        """Outside of parts: before the first delimiter, or after a part that failed."""
        found = self._find_delimiter()
        if found is None:
            keep = self._unfinished()
            self._discarded.add(self._buffer[self._at : keep])
            self._advance(keep)
            return False
        start, after, is_closing = found
        self._discarded.add(self._buffer[self._at : start])
        self._tell_discarded()
        return self._begin(after, is_closing)

    def _read_headers(self) -> bool:
        buffer, at = self._buffer, self._at
        if buffer.startswith((b"\r\n", b"\n"), at):
            self._start_part(b"", at + (2 if buffer[at] == 13 else 1))
            return True
        # + 4: the empty line itself
        limit = at + self._max_header_bytes + 4
        first = buffer.find(b"\n\r\n", at, limit)
        second = buffer.find(b"\n\n", at, limit if first < 0 else first + 2)
        end = first if second < 0 else second
        found = self._find_delimiter(limit if end < 0 else end + 1)
        if found is not None:
            self._start_part(buffer[at : found[0]], found[0])
            self._end_part("its headers end in a delimiter, without an empty line")
            return self._begin(found[1], found[2])
        if end >= 0:
            self._start_part(buffer[at:end], end + (2 if end == second else 3))
            return True
        if len(buffer) < limit:
            return False
        self._start_part(b"", at)
        self._end_part(f"its headers are longer than {self._max_header_bytes} bytes")
        return self._search_after_failure()

    def _read_until_delimiter(self) -> bool:
        found = self._find_delimiter()
        if found is None:
            keep = self._unfinished()
            self._give(self._at, keep)
            self._advance(keep)
            return False
        start, after, is_closing = found
        self._give(self._at, start)
        self._end_part(None)
        return self._begin(after, is_closing)

    def _read_declared(self) -> bool:
        stop = min(len(self._buffer), self._at + self._missing)
        self._missing -= stop - self._at
        self._count_delimiters(stop)
        self._give(self._at, stop)
        self._advance(stop)
        if self._missing:
            return False
        self._step = self._expect_delimiter
        return True

    def _count_delimiters(self, stop: int) -> None:
        """Those among the bytes taken unseen: they are lost if the declared length is wrong."""
        buffer, at, reach = self._buffer, self._at, len(self._needle) - 1
        seam = self._declared_tail + buffer[at : min(at + reach, stop)]
        self._swallowed += seam.count(self._needle) + buffer.count(self._needle, at, stop)
        self._declared_tail = (self._declared_tail + buffer[max(at, stop - reach) : stop])[-reach:]

    def _expect_delimiter(self) -> bool:
        """Right after the declared bytes: a delimiter, or the part has failed."""
        buffer, at = self._buffer, self._at
        # `at` itself: some clients count the line end before the delimiter
        skip = 2 if buffer.startswith(b"\r\n", at) else 1 if buffer.startswith(b"\n", at) else 0
        shape, after = self._line_at(at + skip)
        if shape == "unknown" or (shape == "none" and buffer[at:] == b"\r"):
            return False
        if shape == "none":
            self._end_part(
                f"its Content-Length says {self._declared} bytes, but no delimiter follows them;"
                f" there is {buffer[at : at + 24]!r}"
            )
            return self._search_after_failure()
        self._end_part(None)
        return self._begin(after, shape == "closing")

    def _read_epilogue(self) -> bool:
        self._discard_all()
        return False

    # Transitions

    def _begin(self, after: int, is_closing: bool) -> bool:
        """A delimiter line ended at `after`: a part begins, or the message is over."""
        line_end = self._buffer[after - 2 : after]
        self._advance(after)
        if is_closing:
            self._closing_seen = True
            self._discarded = _Discarded("epilogue")
            self._step = self._read_epilogue
        elif self._max_parts is not None and self._index + 1 >= self._max_parts:
            self._problem = (
                f"The body has more than {self._max_parts} parts, the most that are taken."
            )
            self._discarded = _Discarded("epilogue")
            self._step = self._read_epilogue
        else:
            self._only_lf = line_end != b"\r\n"
            self._step = self._read_headers
        return True

    def _start_part(self, header: bytes, content_at: int) -> None:
        self._index += 1
        self._in_part = True
        headers, problem = _parse_headers(header)
        self._events.append(PartStart(self._index, headers, problem))
        self._advance(content_at)
        self._line_start = True
        declared = headers.get("content-length", "")
        # 18 digits: no machine holds more, and int() of a huge text is slow
        if declared.isascii() and declared.isdigit() and len(declared) <= 18:
            self._declared = self._missing = int(declared)
            self._swallowed, self._declared_tail = 0, b""
            self._step = self._read_declared
        else:
            self._step = self._read_until_delimiter

    def _end_part(self, problem: str | None) -> None:
        sentence = None if problem is None else f"Part {self._index + 1} failed: {problem}."
        self._in_part = False
        swallowed = self._swallowed if problem is not None else 0
        self._swallowed = 0
        self._events.append(PartEnd(self._index, problem is None, sentence, swallowed))

    def _search_after_failure(self) -> bool:
        self._discarded = _Discarded("between parts")
        self._step = self._search_part
        return True

    def _end_early(self) -> None:
        """The body is over and no closing delimiter has been seen."""
        step, buffer = self._step, self._buffer
        cut_delimiter = self._cut_delimiter()
        self._problem = (
            f"The body ended without the closing delimiter, after {self._index + 1} parts."
        )
        if step == self._search_part:
            stop = len(buffer) if cut_delimiter is None else cut_delimiter
            self._discarded.add(buffer[self._at : stop])
        elif step == self._read_headers:
            if buffer[self._at :].strip():
                self._start_part(buffer[self._at :], len(buffer))
                self._end_part("the body ended inside its headers")
        elif step == self._read_until_delimiter:
            self._give(self._at, len(buffer) if cut_delimiter is None else cut_delimiter)
            self._end_part("the body ended before a delimiter" if cut_delimiter is None else None)
        elif self._missing:
            arrived = self._declared - self._missing
            self._end_part(
                f"its Content-Length says {self._declared} bytes,"
                f" but the body ended after {arrived}"
            )
        elif self._in_part:
            self._end_part(
                None if cut_delimiter is not None else "the body ended where a delimiter should be"
            )

    # Delimiters

    def _find_delimiter(self, stop: int | None = None) -> tuple[int, int, bool] | None:
        """The next whole delimiter line.

        Where the content before it ends, where its line ends, and whether it is the closing one.
        """
        buffer, at = self._buffer, self._at
        end = len(buffer) if stop is None else min(stop, len(buffer))
        if self._line_start and buffer.startswith(self._delimiter, at) and at < end:
            shape, after = self._line_at(at)
            if shape in ("part", "closing"):
                return at, after, shape == "closing"
        found = buffer.find(self._needle, at, end)
        while found >= 0:
            shape, after = self._line_at(found + 1)
            if shape in ("part", "closing"):
                has_cr = not self._only_lf and found > at and buffer[found - 1] == 13
                return found - has_cr, after, shape == "closing"
            if shape == "unknown":
                return None
            found = buffer.find(self._needle, found + 1, end)
        return None

    def _line_at(self, at: int) -> tuple[Literal["part", "closing", "none", "unknown"], int]:
        """What stands at `at`: a delimiter line, and where it ends; none; or too few bytes."""
        buffer = self._buffer
        if not buffer.startswith(self._delimiter, at):
            could_be = self._delimiter.startswith(buffer[at : at + len(self._delimiter)])
            return ("unknown" if could_be else "none"), at
        at += len(self._delimiter)
        if buffer.startswith(b"--", at):
            return "closing", at + 2
        if buffer[at:] == b"-":
            return "unknown", at
        window = buffer[at : at + _LONGEST_PADDING]
        rest = window.lstrip(b" \t")
        at += len(window) - len(rest)
        if rest.startswith(b"\n"):
            return "part", at + 1
        if rest.startswith(b"\r\n"):
            return "part", at + 2
        if rest in (b"", b"\r") and len(window) < _LONGEST_PADDING:
            return "unknown", at
        return "none", at

    def _unfinished(self) -> int:
        """Where a delimiter line may have begun that has not fully arrived, or the buffer's end."""
        buffer, at = self._buffer, self._at
        if self._line_start and self._line_at(at)[0] == "unknown":
            return at
        reach = len(self._needle) + _LONGEST_PADDING + 2
        tail = max(at, len(buffer) - reach)
        newline = buffer.find(b"\n", tail)
        while newline >= 0:
            if self._line_at(newline + 1)[0] == "unknown":
                return newline - (newline > at and buffer[newline - 1] == 13)
            newline = buffer.find(b"\n", newline + 1)
        return len(buffer) - buffer.endswith(b"\r", at)

    def _cut_delimiter(self) -> int | None:
        """At the end of the body: where a delimiter begins that only lacks the end of its line."""
        buffer, at = self._buffer, self._at
        if self._step == self._expect_delimiter or self._line_start:
            skip = 2 if buffer.startswith(b"\r\n", at) else 1 if buffer.startswith(b"\n", at) else 0
            whole = buffer.startswith(self._delimiter, at + skip)
            if whole and self._line_at(at + skip)[0] == "unknown":
                return at
        found = buffer.find(self._needle, at)
        if found < 0 or self._line_at(found + 1)[0] != "unknown":
            return None
        return found - (not self._only_lf and found > at and buffer[found - 1] == 13)

    # Small things

    def _advance(self, to: int) -> None:
        if to > self._at:
            self._line_start = self._buffer[to - 1] == 10
            self._at = to

    def _give(self, start: int, stop: int) -> None:
        if stop > start:
            whole = start == 0 and stop == len(self._buffer)
            data = self._buffer if whole else memoryview(self._buffer)[start:stop]
            self._events.append(PartData(data))

    def _discard_all(self) -> None:
        self._discarded.add(self._buffer[self._at :])
        self._advance(len(self._buffer))

    def _tell_discarded(self) -> None:
        event = self._discarded.event()
        self._discarded = _Discarded("between parts")
        if event is not None:
            self._events.append(event)

    def _take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events


def _parse_headers(block: bytes) -> tuple[dict[str, str], str | None]:
    headers = dict[str, str]()
    problem = None
    last = ""
    for raw in block.decode("latin-1").split("\n"):
        line = raw.rstrip("\r")
        name, colon, value = line.partition(":")
        if line[:1] in (" ", "\t") and last:  # a folded line continues the one before
            headers[last] = f"{headers[last]} {line.strip()}"
        elif colon and name.strip():
            last = name.strip().lower()
            headers.setdefault(last, value.strip())
        elif line.strip():
            problem = f"This header line has no name and colon: {line[:80]!r}."
    return headers, problem
