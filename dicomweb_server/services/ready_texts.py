"""Answers of searches joined from the JSON texts that the index has ready (PS3.18 10.6.3.3).

Most searches of all series or instances ask for more than the default answer, since what describes
the levels above belongs to it. To read and to write every match again would be most of their time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson

from dicomweb_server.dicom import load_header
from dicomweb_server.dicom.json_model import BASE
from dicomweb_server.interfaces.index import Found
from dicomweb_server.ps318.attributes import RETRIEVE_URL

_BETWEEN, _VR = b'},"', b'"vr":'
_VALUES, _VALUES_END, _ITEMS = b'"Value":[', b'],"vr":', b'{"Value":[{'
_Pieces = Mapping[bytes, bytes]
"""The attributes of a JSON object, each without its first quote and last brace, by their tags."""


def joined(matches: Iterable[Found], tags: Sequence[bytes] | None) -> list[bytes]:
    """The answers with those of the tags that the index has ready; None stands for all of them.

    `tags`: none that an answer has. Keys ascend (PS3.18 F.2.2), 0x1F stands for the base URL.
    """
    answers = []
    before: tuple[bytes, ...] | None = None
    for match in matches:
        if match.attributes != before:  # those of one series follow each other
            before = match.attributes
            added = _everything(match) if tags is None else _asked(match, tags)
            further = list(added.values())
        if tags is not None:
            answers.append(_extended(match.answer, further))
        else:
            answers.append(_text({**added, **_pieces_of(match.answer)}.values()))
    return answers


def _extended(answer: bytes, further: list[bytes]) -> bytes:
    pieces = _cut(answer)
    if pieces is not None:
        ordered = sorted(pieces + further)
        if _are_attributes(ordered[0], ordered[-1]):
            return b'{"' + _BETWEEN.join(ordered) + b"}}"
    return _text([*_written(load_header(answer)).values(), *further])


def _text(pieces: Iterable[bytes]) -> bytes:
    ordered = sorted(pieces)
    return b'{"' + _BETWEEN.join(ordered) + b"}}" if ordered else b"{}"


def dump(answer: Mapping[str, Any]) -> bytes:
    """The JSON text, with the placeholder before the path of RetrieveURL again."""
    if RETRIEVE_URL in answer:  # a patient has none
        path = orjson.dumps(answer[RETRIEVE_URL]["Value"][0])
        url = orjson.Fragment(b'"' + BASE + path[1:])
        answer = {**answer, RETRIEVE_URL: {"vr": "UR", "Value": [url]}}
    return orjson.dumps(answer, option=orjson.OPT_SORT_KEYS)


def without_bulk(value: Any) -> Any:
    """An attribute as a search shows it: values that are not in the header are left out."""
    if not isinstance(value, dict):
        return value
    if "BulkDataURI" in value:
        return {"vr": value["vr"]}
    if value.get("vr") == "SQ" and "Value" in value:
        items = [
            {tag: without_bulk(inner) for tag, inner in item.items()} for item in value["Value"]
        ]
        return {"vr": "SQ", "Value": items}
    return value


def _everything(match: Found) -> _Pieces:
    found: dict[bytes, bytes] = {}
    for text in match.attributes:
        found |= _pieces(text)
    return found


def _asked(match: Found, tags: Iterable[bytes]) -> _Pieces:
    found: dict[bytes, bytes] = {}
    missing = list(tags)
    for text in reversed(match.attributes):
        if not missing:
            break
        pieces = _pieces(text)
        found |= {tag: pieces[tag] for tag in missing if tag in pieces}
        missing = [tag for tag in missing if tag not in found]
    return found


@lru_cache(maxsize=256)
def _pieces(text: bytes) -> _Pieces:
    """The attributes of a text as a search shows them; those of a study recur with each match."""
    if b'"BulkDataURI":' not in text:
        return _pieces_of(text)
    return _written({tag: without_bulk(value) for tag, value in load_header(text).items()})


def _pieces_of(text: bytes) -> _Pieces:
    pieces = _cut(text)
    if pieces and _are_attributes(min(pieces), max(pieces)):
        return {piece[:8]: piece for piece in pieces}
    return _written(load_header(text))


def _written(attributes: Mapping[str, Any]) -> _Pieces:
    return {tag.encode(): dump({tag: value})[2:-2] for tag, value in attributes.items()}


def _cut(text: bytes) -> list[bytes] | None:
    """The attributes of a text, None if only reading it tells where they are.

    There is one value representation in each; items of sequences have further ones.
    """
    if text[:2] != b'{"' or text[-2:] != b"}}":
        return None
    pieces = text[2:-2].split(_BETWEEN)
    count = text.count(_VR)
    return pieces if len(pieces) == count else _whole(pieces, count)


def _are_attributes(lowest: bytes, highest: bytes) -> bool:
    """Whether all pieces between begin with tags; what stands behind the end of a string does not.

    A string that ends with "}," looks like the end of an attribute. Nothing else in it can, since
    a backslash stands before its quotes.
    """
    return lowest >= b"0" and highest < b"G"


def _whole(pieces: Iterable[bytes], count: int) -> list[bytes] | None:
    """Those that were cut between attributes of items together again.

    None if they do not have the `count` of value representations, each behind its values: such a
    text has spaces, or its keys do not ascend.
    """
    found: list[bytes] = []
    parts: list[bytes] = []
    depth = 0
    for piece in pieces:
        if not parts and piece[10:21] != _ITEMS:
            found.append(piece)
            count -= 1
            continue
        parts.append(piece)
        depth += piece.count(_VALUES) - piece.count(_VALUES_END)
        if depth == 0:
            found.append(_BETWEEN.join(parts))
            count -= found[-1].count(_VR)
            parts = []
    return None if parts or count else found
