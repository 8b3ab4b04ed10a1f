"""Which character set an answer of text is sent in (PS3.18, 8.3.3.2 and 8.8; RFC 9110, 12.5.2).

Everything that is text here is UTF-8, the default of all DICOM media types (8.7.3.5.3). So there is
nothing to choose, only to find out whether the client takes it, and whether the answer shall name
it. The order is that of 8.8.5:

1. `charset` of the media range that was chosen, if it is UTF-8; any other is ignored (8.7.7).
2. The query parameter `charset`. One that names other character sets alone is a 400 (8.3.3.2).
3. The header `Accept-Charset`. 8.8.4 calls character sets that it does not name "not acceptable",
   demands a 400 for those that are not supported, and wants them ignored: if none is left, the
   answer is 406, which says what is the matter (8.5, RFC 9110 15.5.7).
4. Neither of them: UTF-8.

`q=0` excludes, wherever it stands: 406. `*` is taken in the query parameter too.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from dicomweb_server.ps318.errors import BadRequest, NotAcceptable
from dicomweb_server.ps318.media_types import MediaType

UTF_8: Final = "utf-8"
# the name of the IANA registry, what is often written instead, and the Defined Term (PS3.18, D)
_NAMES: Final = frozenset({UTF_8, "utf8", "iso_ir 192"})

# a token, or a Defined Term such as "ISO 2022 IR 87", which holds spaces
_CHARSET = re.compile(r'(?:"([^"\\]+)"|([!#$%&\'*+.^_`|~0-9A-Za-z:-]+(?: [0-9A-Za-z_-]+)*))\Z')
_WEIGHT = re.compile(r"q\s*=\s*(\d+\.?\d*|\.\d+)\Z", re.IGNORECASE | re.ASCII)
_SHOWN: Final = 300
_POSSIBLE: Final = "possible is utf-8"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What one list says: how much UTF-8 is wanted, and whether it is named."""

    quality: float | None  # None: neither UTF-8 nor `*` is in it
    named: bool


def negotiate_charset(
    accept_charset: str | None, *, query: str | None = None, media_range: MediaType | None = None
) -> str | None:
    """`utf-8` if the client asked for it by name, None if any character set will do.

    `accept_charset`: text of the header; `query`: the decoded `charset` query parameter;
    `media_range`: what decided about the media type. Raises BadRequest or NotAcceptable if the
    answer cannot be in UTF-8, or if a list is none.
    """
    if media_range is not None and _is_utf_8(media_range.get("charset") or ""):
        return UTF_8
    if query is not None and query.strip():
        asked = _asked(query)
        if asked.quality is None:
            raise BadRequest(f"charset={query[:_SHOWN]!r} names nothing supported; {_POSSIBLE}.")
        return _answer("charset", query, asked)
    if accept_charset is None or not accept_charset.strip():
        return None
    return _answer("Accept-Charset", accept_charset, _asked(accept_charset))


def _answer(what: str, text: str, asked: _Asked) -> str | None:
    if not asked.quality:
        raise NotAcceptable(
            f"{what} {text[:_SHOWN]!r} takes nothing that can be sent; {_POSSIBLE}."
        )
    return UTF_8 if asked.named else None


def _is_utf_8(name: str) -> bool:
    return name.strip().lower() in _NAMES


@lru_cache(maxsize=64)
def _asked(text: str) -> _Asked:
    weights = [_weighted(element, text) for element in text.split(",") if element.strip()]
    named = [weight for name, weight in weights if _is_utf_8(name)]
    if named:
        return _Asked(max(named), named=True)
    wild = [weight for name, weight in weights if name == "*"]
    return _Asked(max(wild) if wild else None, named=False)


def _weighted(element: str, text: str) -> tuple[str, float]:
    """Name and weight of one element of a list."""
    name, _, parameter = (piece.strip() for piece in element.partition(";"))
    charset = _CHARSET.match(name)
    weight = _WEIGHT.match(parameter) if parameter else None
    quality = float(weight[1]) if weight else 1.0
    if charset is None or (parameter and weight is None) or quality > 1.0:
        raise BadRequest(
            f"{element.strip()[:60]!r} in {text[:_SHOWN]!r} is no character set, or its q is none;"
            " it should look like utf-8, iso-8859-1;q=0.5, with q from 0 to 1."
        )
    return charset[1] or charset[2], quality
