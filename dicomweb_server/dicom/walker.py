"""The walk through data sets, without recursion: any state survives the end of a piece."""

from typing import Any, NoReturn, cast

from .beginning import check_encoding
from .charset import charset_of
from .elements import (
    AFTERWARDS,
    BULK,
    CHARACTER_SET,
    DEFERRED,
    DELIMITER,
    EXTENDED_LENGTHS,
    EXTENDED_OFFSETS,
    FORBIDDEN,
    INDIRECT,
    ITEM,
    ITEM_END,
    PIXEL_REPRESENTATION,
    SEQUENCE,
    SEQUENCE_END,
    SKIPPED,
    UNDEFINED_LENGTH,
    Entry,
)
from .errors import LimitExceeded, NotUnderstood
from .fragments import ITEM_HEADS, FragmentWalker
from .instance import LocatedValue
from .json_model import BulkPath
from .scope import UNDEFINED, OpenFragments, OpenSequence, Scope
from .tags import describe, is_private, is_private_creator
from .values import EMPTY

_ENDLESS = 1 << 62
_MAX_TABLE = 32 << 20  # bytes of an Extended Offset Table: four million frames
# Tags of an item by byte order: a value of UN is in little endian whatever the data set is in.
_ORDERS = {b"\xfe\xff\x00\xe0": "<", b"\xff\xfe\xe0\x00": ">"}
_ENDS = (b"\xfe\xff\xdd\xe0", b"\xff\xfe\xe0\xdd")  # of an empty sequence


class Walker(FragmentWalker):
    """States for elements and sequences, and what they found."""

    # -- elements ------------------------------------------------------------------------------

    def _elements(self, buffer: bytes, position: int) -> int:
        """State: a data set. The hot loop: small values are converted where they lie."""
        scope = cast("Scope", self._stack[-1])
        encoding = self._encodings[scope.implicit, scope.order]
        known, width = encoding.cache.get, encoding.key_size
        values, inline, size = scope.values, self._inline, len(buffer)
        stop = _ENDLESS if scope.end == UNDEFINED else scope.end - self._base
        allowance, began, count = self._allowance, position, 0
        most, farthest = allowance.elements, position + allowance.bytes
        try:
            while count <= most:
                if position >= stop:
                    return self._close_item(scope, position, stop)
                if size - position < 8:
                    self._need = 8
                    return position
                head = buffer[position : position + width]
                entry = known(head) or encoding.entry(head)
                tag, key, kind, convert, vr, unpack, length_at, header = entry
                start = position + header
                if start > size:
                    self._need = header
                    return position
                length = unpack(buffer, position + length_at)[0]
                if kind or length > inline:
                    return self._other(entry, buffer, position, start, length, scope, stop)
                finish = start + length
                if finish > size:
                    if finish > stop:
                        self._overrun(scope, key)
                    self._need = finish - position
                    return position
                if tag <= scope.last:
                    self._out_of_order(scope, tag, key)
                scope.last = tag
                if length:
                    values[key] = convert(buffer[start:finish], scope, key)  # type: ignore[misc]
                    if length & 1:
                        scope.note(key, f"has an odd length, {length} bytes")
                else:
                    values[key] = EMPTY[vr]
                count += 1
                position = finish
                if position > farthest:
                    allowance.too_long(scope.path, key)
            allowance.too_many(scope.path, key)
        finally:
            allowance.bytes -= position - began
            allowance.elements -= count

    def _other(
        self,
        entry: Entry,
        buffer: bytes,
        position: int,
        start: int,
        length: int,
        scope: Scope,
        stop: int,
    ) -> int:
        """All elements that are not simply converted."""
        order = scope.order
        if entry.kind == DELIMITER:
            return self._delimiter(entry, scope, start)
        if entry.kind == FORBIDDEN:
            return self._forbidden(entry, scope, position, length)
        if entry.kind == INDIRECT:
            if length >= 8 and len(buffer) < start + 4:
                self._need = start + 4 - position
                return position
            first = buffer[start : start + 4]  # shows whether it is a sequence
            entry = self._resolve(entry, first, length, scope)
            order = _ORDERS.get(first, order)
        defined = length != UNDEFINED_LENGTH
        finish = start + length
        if defined and finish > stop:
            self._overrun(scope, entry.key)
        stays = entry.kind in (SEQUENCE, SKIPPED) or not defined or self._stays(entry, length)
        if not stays and finish > len(buffer):
            self._need = finish - position
            return position
        # From here on the element is not looked at a second time.
        if entry.tag <= scope.last:
            self._out_of_order(scope, entry.tag, entry.key)
        scope.last = entry.tag
        if not defined:
            return self._undefined(entry, scope, start, order)
        if entry.kind == SEQUENCE:
            self._spend(scope, entry.key, 0)
            self._open_sequence(entry, scope, start, self._base + finish, order)
            return start
        if stays:
            if entry.kind != SKIPPED:
                self._locate(scope, entry, self._base + start, length)
            self._current = scope.path, entry.key
            return finish
        self._spend(scope, entry.key, length)
        self._convert(entry, buffer[start:finish], scope, self._base + start)
        return finish

    def _stays(self, entry: Entry, length: int) -> bool:
        """Whether a value is left in the file."""
        if entry.tag in (EXTENDED_OFFSETS, EXTENDED_LENGTHS):
            return length > _MAX_TABLE
        return entry.kind == BULK or length > self._inline

    def _resolve(self, entry: Entry, first: bytes, length: int, scope: Scope) -> Entry:
        """The VR of a private element in implicit VR, or of one that says UN (PS3.5, 6.2.2)."""
        tag = entry.tag
        items = first in _ORDERS
        if length == UNDEFINED_LENGTH:
            if entry.vr == "UN" or items or first in _ENDS:
                return self._encodings[scope.implicit, scope.order].resolved(entry, "SQ")
            return entry
        if is_private(tag):
            vr = self._dictionary.vr(tag, scope.creator(tag))
        else:
            vr = self._dictionary.vr(tag) if length < 0xFFFF else "UN"
        if vr == "SQ" and length and not items:
            vr = "UN"
        return self._encodings[scope.implicit, scope.order].resolved(entry, vr)

    def _convert(self, entry: Entry, raw: bytes, scope: Scope, offset: int) -> None:
        """Convert a value on which something depends, or whose VR does."""
        tag, key = entry.tag, entry.key
        if tag in (EXTENDED_OFFSETS, EXTENDED_LENGTHS):
            if not scope.path:
                self._tables[tag] = raw
            self._locate(scope, entry, offset, len(raw))
            return
        if entry.kind == DEFERRED:
            # It is kept as it is, too, with what will decide.
            self._allowance.take(len(raw), scope.path, key)
            element: dict[str, Any] = {"vr": entry.vr}
            self._deferred.append((scope, key, element, entry.vr, raw, offset))
        elif raw and entry.convert is not None:
            element = entry.convert(raw, scope, key)
        else:
            element = {"vr": entry.vr}
        scope.values[key] = element
        if entry.kind == AFTERWARDS:
            self._depends(tag, element, scope)

    def _depends(self, tag: int, element: dict[str, Any], scope: Scope) -> None:
        values = element.get("Value", [])
        if tag == CHARACTER_SET:
            terms = [str(value or "") for value in values]
            charset, problems = charset_of(terms, self._charset)
            scope.charset = charset
            for problem in problems:
                scope.note("00080005", f"is wrong: {problem[:-1]}")
        elif tag == PIXEL_REPRESENTATION:
            if values and isinstance(values[0], int):
                scope.pixel_representation = values[0]
        elif is_private_creator(tag) and values and isinstance(values[0], str):
            if scope.creators is None:
                scope.creators = {}
            scope.creators[tag >> 16 << 8 | tag & 0xFF] = values[0].strip()

    def _locate(self, scope: Scope, entry: Entry, offset: int, length: int) -> None:
        """List a value that stays in the file."""
        if not length:
            scope.values[entry.key] = {"vr": entry.vr}
            return
        self._spend(scope, entry.key, 0)
        path = BulkPath(scope.path + entry.key.lower())
        scope.values[entry.key] = {"vr": entry.vr, "BulkDataURI": path}
        self._located.append(LocatedValue(path, entry.vr, offset, length))

    def _out_of_order(self, scope: Scope, tag: int, key: str) -> None:
        """Elements should ascend (PS3.5, 7.1); of two with the same tag the later one counts."""
        scope.unsorted = True
        if key in scope.values:
            scope.note(key, "occurs twice; the last one counts")
            path = scope.path + key.lower()
            # Many doubles must not take quadratic time.
            self._allowance.take(len(self._located), scope.path, key, 0)
            self._located = [
                v for v in self._located if v.path != path and not v.path.startswith(path + "/")
            ]

    # -- sequences -----------------------------------------------------------------------------

    def _undefined(self, entry: Entry, scope: Scope, start: int, order: str) -> int:
        self._spend(scope, entry.key, 0)
        if entry.kind == SEQUENCE:
            self._open_sequence(entry, scope, start, UNDEFINED, order)
        elif entry.vr in ("OB", "OW", "OF", "OD", "OL", "OV"):
            self._stack.append(OpenFragments(scope, entry.key, self._base + start))
            self._state = self._fragments
        else:
            raise NotUnderstood(
                f"{describe(scope.path, entry.key)} has undefined length, which its value "
                f"representation {entry.vr or 'UN'} cannot have."
            )
        return start

    def _open_sequence(self, entry: Entry, scope: Scope, start: int, end: int, order: str) -> None:
        if self._depth >= self._limits.depth:
            raise LimitExceeded(
                f"Sequences lie in more than the {self._limits.depth} items that are possible: at "
                f"byte {self._base + start} there is {describe(scope.path, entry.key)}."
            )
        scope.values[entry.key] = {"vr": "SQ"}
        sequence = OpenSequence(
            scope, entry.key, self._base + start, end, implicit=scope.implicit, order=order
        )
        self._stack.append(sequence)
        self._state = self._sequence

    def _sequence(self, buffer: bytes, position: int) -> int:
        """State: between the items of a sequence."""
        sequence = cast("OpenSequence", self._stack[-1])
        at = self._base + position
        if sequence.end != UNDEFINED and at >= sequence.end:
            if at > sequence.end:
                self._overrun(sequence.parent, sequence.key)
            self._close_sequence(sequence, at)
            return position
        if len(buffer) - position < 8:
            self._need = 8
            return position
        group, element, length = ITEM_HEADS[sequence.order](buffer, position)
        tag = group << 16 | element
        if tag == SEQUENCE_END:
            self._close_sequence(sequence, at)
            return position + 8
        if tag != ITEM:
            raise NotUnderstood(
                f"In {describe(sequence.parent.path, sequence.key)}, at byte {at}, an item was "
                f"expected, found ({group:04X},{element:04X})."
            )
        return self._open_item(sequence, buffer, position, length)

    def _open_item(self, sequence: OpenSequence, buffer: bytes, position: int, length: int) -> int:
        implicit, order = sequence.implicit, sequence.order
        if not implicit and length >= 8:
            # Items may be in implicit VR within explicit ones: PS3.5, 6.2.2 (and bad writers).
            if len(buffer) - position < 14:
                self._need = 14
                return position
            head = buffer[position + 8 : position + 14]
            if head[:2] not in (b"\xfe\xff", b"\xff\xfe"):
                implicit = check_encoding(head, implicit=False, order=order).implicit
                order = "<" if implicit else order
        start = self._base + position + 8
        end = UNDEFINED if length == UNDEFINED_LENGTH else start + length
        parent = sequence.parent
        for limit in (sequence.end, parent.end):
            if limit != UNDEFINED and end > limit:
                self._overrun(parent, sequence.key)
        sequence.items += 1
        path = f"{sequence.path}/{sequence.items}/"
        self._spend(parent, sequence.key, 0)
        item = Scope(
            parent,
            path,
            end,
            parent.charset,
            self._problems,
            self._allowance,
            implicit=implicit,
            order=order,
        )
        found = parent.values[sequence.key]
        if "Value" in found:
            found["Value"].append(item.values)
        else:
            found["Value"] = [item.values]  # takes less than an empty list that grows
        self._stack.append(item)
        self._depth += 1
        self._state = self._elements
        return position + 8

    def _delimiter(self, entry: Entry, scope: Scope, start: int) -> int:
        if entry.tag == ITEM_END and scope.parent is not None and scope.end == UNDEFINED:
            return self._close_item(scope, start, start)
        raise NotUnderstood(
            f"At byte {self._base + start - 8} there is a delimiter, {describe('', entry.key)}, "
            "where none can stand."
        )

    def _close_item(self, scope: Scope, position: int, stop: int) -> int:
        if position > stop:
            self._overrun(scope, f"{max(scope.last, 0):08X}")
        scope.sort()
        self._stack.pop()
        self._depth -= 1
        self._state = self._sequence
        return position

    def _close_sequence(self, sequence: OpenSequence, end: int) -> None:
        self._stack.pop()
        self._state = self._elements

    # -- what may be wrong ---------------------------------------------------------------------

    def _forbidden(self, entry: Entry, scope: Scope, position: int, length: int) -> int:
        if entry.tag == 0 and length == 0 and scope.parent is None and scope.values:
            scope.note("00000000", "is padding behind the data set")
            self._state = self._padding
            return position
        raise NotUnderstood(
            f"At byte {self._base + position} there is {describe(scope.path, entry.key)}, whose "
            "group cannot occur in a data set."
        )

    def _padding(self, buffer: bytes, position: int) -> int:
        """State: zero bytes behind the data set."""
        if buffer[position:].strip(b"\0"):
            raise NotUnderstood(
                f"Behind byte {self._base + position} there is something else than padding."
            )
        return len(buffer)

    def _overrun(self, scope: Scope, key: str) -> NoReturn:
        raise NotUnderstood(
            f"{describe(scope.path, key)} is longer than the item or sequence around it."
        )
