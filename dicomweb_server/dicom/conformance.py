"""What is not to the letter in an instance that can nevertheless be read (PS3.5 6.2 and 9.1)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydicom.valuerep import VALIDATORS

from .forms import has_form
from .instance import ParsedInstance
from .tags import STANDARD, TagDictionary

_LONGEST_SHOWN = 80
_CHARACTER_SET = "00080005"
_DEFAULT_REPERTOIRE = ("ISO_IR 6", "ISO 2022 IR 6")
_OF_CHARACTER_SETS = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))
_Validator = Callable[[str, str], tuple[bool, str]]
_Attributes = Mapping[str, Mapping[str, Any]]


def deviations(instance: ParsedInstance, dictionary: TagDictionary = STANDARD) -> Iterator[str]:
    """Sentences, each naming one element: what the reader tolerated, VRs, lengths and characters.

    Standard elements whose VR differs from PS3.6, and values that their VR does not allow. "UN" is
    always possible (PS3.5 6.2.2), and bulk data are not looked at.
    """
    yield from instance.problems
    yield from _of_item(instance.attributes, "", dictionary, extended=False)


def _of_item(
    attributes: _Attributes, path: str, dictionary: TagDictionary, *, extended: bool
) -> Iterator[str]:
    """`extended`: whether a character set is in force beyond the default repertoire."""
    if _CHARACTER_SET in attributes:
        names = attributes[_CHARACTER_SET].get("Value", ())
        extended = any(name and name not in _DEFAULT_REPERTOIRE for name in names)
    for tag, element in attributes.items():
        where = f"{path}{dictionary.keyword(tag) or ''} ({tag[:4]},{tag[4:]})"
        vr, values = element.get("vr", "UN"), element.get("Value", ())
        expected = dictionary.vr(tag).split(" or ")
        if vr not in (*expected, "UN") and expected != ["UN"]:
            yield f"{where} has the VR {vr}; possible is {' or '.join(expected)}."
        if vr == "SQ":
            for number, item in enumerate(values, 1):
                within = f"{path}{tag}/{number}/"
                yield from _of_item(item, within, dictionary, extended=extended)
        else:
            yield from _of_values(where, vr, values)
            if vr in _OF_CHARACTER_SETS and not extended:
                yield from _beyond(where, values)


def _of_values(where: str, vr: str, values: Sequence[Any]) -> Iterator[str]:
    validate: _Validator | None = VALIDATORS.get(vr)
    for value in values:
        text = _name(value) if vr == "PN" and isinstance(value, Mapping) else value
        if text is None or text == "":
            continue
        # Numbers were understood as such; their text is checked when they are read.
        known = validate is not None and isinstance(text, str)
        if not has_form(vr, text) or (known and validate and not validate(vr, text)[0]):
            shown = repr(text)[: _LONGEST_SHOWN + 2]
            yield f"{where} is {shown}, which its VR {vr} does not allow."


def _beyond(where: str, values: Sequence[Any]) -> Iterator[str]:
    """Text that needs a Specific Character Set (PS3.5 6.1.2.1, PS3.3 C.12.1.1.2)."""
    texts = (_name(each) if isinstance(each, Mapping) else str(each or "") for each in values)
    if not all(text.isascii() for text in texts):
        yield (
            f"{where} has bytes above 7FH, for which Specific Character Set (0008,0005) names no "
            "character set."
        )


def _name(value: Mapping[str, str]) -> str:
    groups = (value.get(group, "") for group in ("Alphabetic", "Ideographic", "Phonetic"))
    return "=".join(groups).rstrip("=")
