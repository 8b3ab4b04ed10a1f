"""How fast the frames of an image follow each other (PS3.3 C.7.6.5)."""

from __future__ import annotations

from .header import Attributes, number, numbers

_DEFAULT = 0.1
_LEAST, _MOST = 0.01, 60.0
RECOMMENDED_DISPLAY_FRAME_RATE = "00082144"
CINE_RATE = "00180040"
FRAME_TIME = "00181063"
FRAME_TIME_VECTOR = "00181065"


def seconds_per_frame(attributes: Attributes) -> float:
    """Seconds from one frame to the next, 0.01 to 60; 0.1 where the data set does not tell.

    Of Recommended Display Frame Rate, else Frame Time or the mean of Frame Time Vector (in
    milliseconds), else Cine Rate.
    """
    vector = numbers(attributes, FRAME_TIME_VECTOR)[1:]
    found = (
        _of_rate(number(attributes, RECOMMENDED_DISPLAY_FRAME_RATE)),
        (number(attributes, FRAME_TIME) or 0) / 1000,
        sum(vector) / len(vector) / 1000 if vector else 0,
        _of_rate(number(attributes, CINE_RATE)),
    )
    seconds = next((each for each in found if each > 0), _DEFAULT)
    return min(max(seconds, _LEAST), _MOST)


def _of_rate(rate: float | None) -> float:
    return 1 / rate if rate and rate > 0 else 0
