"""Content negotiation, once for all routes (PS3.18, 8.7.5 and 8.7.8; RFC 9110, 12.5.1).

A route lists what it can send as `Offer`s, best first; `negotiate` picks one:

1. The `accept` query parameter is tried first, then the header (8.7.8.1, steps 2 and 3). If the
   parameter names nothing possible and there is no header, the answer is 406: nobody asked for
   anything else.
2. No header, or an empty one, means `*/*`.
3. For each offer the most specific media range counts; `q=0` excludes. The best `q` wins; equal
   ones are decided by specificity, then by the order of the header, then by the order of the
   offers.
4. `transfer-syntax` limits a range to the offers that can deliver that syntax; `*` leaves the
   choice to the server, which should send what is stored.

`type="application/octet-stream"` together with a `transfer-syntax` is how viewers ask for frames
in whatever media type they are stored; so it covers `image/...` and `video/...` offers too.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from dicomweb_server.ps318.errors import BadRequest, NotAcceptable
from dicomweb_server.ps318.media_types import (
    DICOM_XML,
    MULTIPART_RELATED,
    OCTET_STREAM,
    MediaType,
    format_media_type,
    modern_name,
    parse_or_none,
)

AnySyntax = Literal["any"]
ANY: Final[AnySyntax] = "any"

_ELEMENTS = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+', re.DOTALL)
# "+" of a query parameter has become a space when the client did not escape it
_LOST_PLUS = re.compile(r"(?<=[a-z0-9]) (?=[a-z0-9])", re.IGNORECASE)
# characters of a header that errors quote
_SHOWN = 300
# viewers send up to twenty; each more costs time
_MOST_RANGES = 100
_GENERAL_XML = frozenset({"application/xml", "text/xml"})


@dataclass(frozen=True, slots=True)
class Offer:
    """One representation that the server can send.

    `media_type`: essence such as `application/dicom`; of the parts if `multipart` (then the whole
    is `multipart/related; type="<media_type>"`).
    `transfer_syntaxes`: the UIDs it can deliver, `ANY`, or None if the notion does not apply
    (JSON, PNG, ...).
    `as_stored`: it sends the stored bytes untouched; what `transfer-syntax=*` prefers.
    """

    media_type: str
    multipart: bool = False
    transfer_syntaxes: frozenset[str] | AnySyntax | None = None
    as_stored: bool = False

    def __str__(self) -> str:
        """The media type as a client should write it in `Accept`."""
        syntaxes = self.transfer_syntaxes
        listed = sorted(syntaxes) if isinstance(syntaxes, frozenset) else []
        # one media type per line would explode with all syntaxes: `*` stands for many
        syntax = listed[0] if len(listed) == 1 else None if syntaxes is None else "*"
        parameters = [] if syntax is None else [("transfer-syntax", syntax)]
        if self.multipart:
            return format_media_type(MULTIPART_RELATED, [("type", self.media_type), *parameters])
        return format_media_type(self.media_type, parameters)


@dataclass(frozen=True, slots=True)
class Match:
    """What was negotiated.

    `transfer_syntax`: the UID that the client asks for, `*` for "as stored", or None if it named
    none and gets the default of the media type. `media_range`: the element of `Accept` that
    decided.
    """

    offer: Offer
    transfer_syntax: str | None
    media_range: MediaType


@dataclass(frozen=True, slots=True)
class _Range:
    """One element of `Accept`, ready to compare."""

    media_range: MediaType
    multipart: bool | None  # None: both
    type: str
    subtype: str
    transfer_syntaxes: tuple[str, ...]
    level: int  # specificity: 0 for */*, 4 for a full type

    def covers_type(self, offer: Offer) -> bool:
        if self.multipart is not None and self.multipart != offer.multipart:
            return False
        if self.type == "*":
            return True
        offered = modern_name(offer.media_type)
        main, _, sub = offered.partition("/")
        if self.type == main and self.subtype in ("*", sub):
            return True
        return self._is_any_frame() and main in ("image", "video")

    def _is_any_frame(self) -> bool:
        return bool(self.transfer_syntaxes) and f"{self.type}/{self.subtype}" == OCTET_STREAM

    def syntax_for(self, offer: Offer) -> tuple[bool, str | None]:
        """Whether the offer satisfies the transfer-syntax parameter, and which value of it."""
        if not self.transfer_syntaxes:
            return True, None
        offered = offer.transfer_syntaxes
        for wanted in self.transfer_syntaxes:
            if wanted == "*":
                return True, "*" if offered is not None else None
            if offered is not None and (offered == ANY or wanted in offered):
                return True, wanted
        return False, None


@dataclass(frozen=True, slots=True)
class _Candidate:
    offer: Offer
    offer_position: int
    syntax: str | None
    range: _Range
    range_position: int

    @property
    def specificity(self) -> tuple[int, int]:
        return self.range.level, len(self.syntax or "") and 1 + (self.syntax != "*")

    @property
    def rank(self) -> tuple[float, int, int, int]:
        return (
            -self.range.media_range.q,
            -self.range.level,
            self.range_position,
            self.offer_position,
        )

    @property
    def effective_syntax(self) -> str | None:
        only = self.offer.transfer_syntaxes
        if self.syntax is None and isinstance(only, frozenset) and len(only) == 1:
            return next(iter(only))
        return self.syntax


def negotiate(
    accept: str | None, offers: Sequence[Offer], *, query_accept: str | None = None
) -> Match:
    """Choose the offer that the client likes best.

    `offers`: in the server's order of preference. `accept`: text of the header (several headers
    joined by commas); `query_accept`: the decoded `accept` query parameter. A tuple of the same
    `Offer`s each time is answered from a cache.
    Raises BadRequest if nothing in the text is a media type or a `q` is wrong, NotAcceptable
    (which lists the offers) if nothing fits.
    """
    return _negotiate(accept or "", tuple(offers), query_accept or "")


@lru_cache(maxsize=256)
def _negotiate(accept: str, offers: tuple[Offer, ...], query_accept: str) -> Match:
    if query_accept.strip():
        found = _choose(_ranges(_LOST_PLUS.sub("+", query_accept)), offers)
        if found is not None:
            return found
        if not accept.strip():
            raise _refusal(query_accept, offers)
    found = _choose(_ranges(accept if accept.strip() else "*/*"), offers)
    if found is None:
        raise _refusal(accept, offers)
    return found


def accepted_ranges(text: str) -> tuple[MediaType, ...]:
    """The media ranges of an `Accept` header in its order; elements that are none are skipped.

    Raises BadRequest if none is left, or if a `q` is wrong.
    """
    return tuple(one.media_range for one in _ranges(text))


@lru_cache(maxsize=256)
def _ranges(text: str) -> tuple[_Range, ...]:
    elements = _ELEMENTS.findall(text) if '"' in text else text.split(",")
    parsed = (parse_or_none(element) for element in elements)
    ranges = tuple(_range(one) for one in parsed if one is not None)
    if len(ranges) > _MOST_RANGES:
        raise BadRequest(f"Accept holds {len(ranges)} media types; possible are {_MOST_RANGES}.")
    if not ranges:
        raise BadRequest(
            f"Accept {text[:_SHOWN]!r} holds no media type;"
            " it should look like application/dicom+json, */*."
        )
    return ranges


def _range(one: MediaType) -> _Range:
    syntaxes = one.get("transfer-syntax")
    if one.type != "multipart":
        main, sub = modern_name(one.essence).split("/", 1)
        level = 0 if main == "*" else 3 if sub == "*" else 4
        return _Range(one, None if main == "*" else False, main, sub, _syntaxes(syntaxes), level)
    inner_text = one.get("type") if one.subtype == "related" else None
    inner = parse_or_none(inner_text) if inner_text else None
    if inner is None:
        # `multipart/*` and `multipart/related` without type; other multipart types match nothing
        main = "*" if one.subtype in ("*", "related") and not inner_text else "multipart"
        return _Range(one, True, main, one.subtype, _syntaxes(syntaxes), 1 + (one.subtype != "*"))
    main, sub = modern_name(inner.essence).split("/", 1)
    level = 2 if main == "*" else 3 if sub == "*" else 4
    syntaxes = syntaxes or inner.get("transfer-syntax")
    return _Range(one, True, main, sub, _syntaxes(syntaxes), level)


def _syntaxes(text: str | None) -> tuple[str, ...]:
    return tuple(uid for uid in re.split(r"[,\s]+", text) if uid) if text else ()


def _choose(ranges: tuple[_Range, ...], offers: tuple[Offer, ...]) -> Match | None:
    candidates = list(_candidates(ranges, offers))
    best = _best(candidates)
    if best is None and any(one.media_range.essence in _GENERAL_XML for one in ranges):
        # text/xml and application/xml count only when nothing else fits: every browser sends
        # application/xml
        best = _best(list(_candidates(tuple(map(_as_dicom_xml, ranges)), offers)))
    if best is None:
        return None
    return Match(best.offer, best.syntax, best.range.media_range)


def _candidates(ranges: tuple[_Range, ...], offers: tuple[Offer, ...]) -> Iterable[_Candidate]:
    for range_position, one in enumerate(ranges):
        covered = list[_Candidate]()
        for offer_position, offer in enumerate(offers):
            if one.covers_type(offer):
                fits, syntax = one.syntax_for(offer)
                if fits:
                    covered.append(_Candidate(offer, offer_position, syntax, one, range_position))
        stored = [each for each in covered if each.syntax == "*" and each.offer.as_stored]
        yield from stored or covered


def _best(candidates: list[_Candidate]) -> _Candidate | None:
    """The winner: for each offer and syntax only its most specific range counts."""
    most_specific = dict[tuple[int, str | None], _Candidate]()
    refusals = [each for each in candidates if each.range.media_range.q == 0]
    for each in candidates:
        key = (each.offer_position, each.syntax)
        known = most_specific.get(key)
        if known is None or _overrides(each, known):
            most_specific[key] = each
    allowed = (
        each
        for each in most_specific.values()
        if each.range.media_range.q > 0 and not any(_excludes(no, each) for no in refusals)
    )
    return min(allowed, key=lambda each: each.rank, default=None)


def _overrides(new: _Candidate, known: _Candidate) -> bool:
    if new.specificity != known.specificity:
        return new.specificity > known.specificity
    return new.range.media_range.q > known.range.media_range.q


def _excludes(refusal: _Candidate, each: _Candidate) -> bool:
    if refusal.offer_position != each.offer_position:
        return False
    if refusal.syntax in (None, "*"):
        return refusal.specificity >= each.specificity
    return refusal.syntax == each.effective_syntax


def _as_dicom_xml(one: _Range) -> _Range:
    if one.media_range.essence not in _GENERAL_XML:
        return one
    main, sub = DICOM_XML.split("/")
    return _Range(one.media_range, None, main, sub, one.transfer_syntaxes, one.level)


def _refusal(accept: str, offers: tuple[Offer, ...]) -> NotAcceptable:
    possible = ", ".join(dict.fromkeys(map(str, offers))) or "nothing"
    return NotAcceptable(
        f"Nothing in Accept {accept.strip()[:_SHOWN]!r} can be sent. Possible: {possible}."
    )
