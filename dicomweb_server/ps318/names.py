"""Fuzzy matching of person names (PS3.4, C.2.2.2.1.1).

A name is like another when each word asked for is like a word of the name, in any order and
whatever its accents. A word is like another when it begins it, or when a few slips of the pen
turn one into the other: none in words of up to three letters, one in those of up to seven, two in
longer ones. A slip is a letter too many, too few or wrong, or two letters in the wrong order.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final
from unicodedata import category, normalize

_BETWEEN_WORDS: Final = re.compile(r"[\s^=,.;*?'’`-]+")
# letters that no decomposition takes apart
_SPELLED: Final = str.maketrans({"ß": "ss", "ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d"})
_LONGEST_NAME: Final = 400


def words(name: str) -> tuple[str, ...]:
    """The words of a name, without case and accents."""
    plain = normalize("NFKD", name[:_LONGEST_NAME].casefold())
    bare = "".join(letter for letter in plain if category(letter) != "Mn").translate(_SPELLED)
    return tuple(filter(None, _BETWEEN_WORDS.split(normalize("NFC", bare))))


@lru_cache(maxsize=4096)
def _words_of_stored(name: str) -> tuple[str, ...]:
    return words(name)


def is_like(wanted: Sequence[str], name: str) -> bool:
    """Whether a name has a word like each of the wanted ones, each of them another word."""
    there = list(_words_of_stored(name))
    for word in sorted(wanted, key=len, reverse=True):
        found = next((each for each in there if _is_word_like(word, each)), None)
        if found is None:
            return False
        there.remove(found)
    return True


def _is_word_like(wanted: str, word: str) -> bool:
    if word.startswith(wanted):
        return True
    slips = 0 if len(wanted) <= 3 else 1 if len(wanted) <= 7 else 2
    return slips > 0 and abs(len(wanted) - len(word)) <= slips and _slips(wanted, word) <= slips


@lru_cache(maxsize=4096)
def _slips(one: str, other: str) -> int:
    """The number of slips between two words (the distance of optimal string alignment)."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        row = [i]
        for j, against in enumerate(other, 1):
            same = letter == against
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (not same))
            swapped = i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == against
            row.append(min(cost, before[j - 2] + 1) if swapped else cost)
        before, last = last, row
    return last[-1]
