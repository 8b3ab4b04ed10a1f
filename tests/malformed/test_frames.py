"""Damaged frames: pixels or a `CodecError`, in bounded time and memory.

A bounded run by default; `MALFORMED=20` decodes a thousand frames of each transfer syntax. They are
decoded in processes of their own: one that a library ends is told as a warning, since the server
decodes in processes that may end too; every other outcome fails.
"""

import os
import signal
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path

import pytest
from dicomweb_codecs_imagecodecs import ImagecodecsCodec

TIMES = int(os.environ.get("MALFORMED", "1"))
FRAMES = 50
ENDED_BY_A_LIBRARY = {
    -signal.SIGSEGV,
    -signal.SIGABRT,
    -signal.SIGBUS,
    -signal.SIGFPE,
    -signal.SIGILL,
}
ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def decode(syntax, first, last):
    """(status, lines, errors) of a process."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.malformed.frames", syntax, str(first), str(last)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    lines = [line.rsplit(" ", 1) for line in done.stdout.splitlines()]
    return done.returncode, [(word, int(number)) for word, number in lines], done.stderr


@pytest.mark.parametrize("syntax", sorted(ImagecodecsCodec.decodes))
def test_damaged_frames(syntax):
    first, last, crashes = 0, FRAMES * TIMES, []
    outcomes, complaints = Counter(), ""
    while first < last:
        status, lines, errors = decode(syntax, first, last)
        outcomes.update(word for word, _ in lines if word != "begin")
        complaints += errors
        if status == 0:
            break
        assert status in ENDED_BY_A_LIBRARY, (syntax, lines[-1:], status, errors[-2000:])
        assert lines[-1][0] == "begin", (syntax, errors[-2000:])
        crashes.append((lines[-1][1], signal.Signals(-status).name))
        first = lines[-1][1] + 1
    assert set(outcomes) <= {"pixels", "refused"}, (syntax, outcomes)
    assert outcomes["refused"]
    assert "Exception ignored" not in complaints, complaints[-2000:]
    assert outcomes.total() + len(crashes) == last
    if crashes:
        warnings.warn(f"{syntax}: a library ended the process at frames {crashes}", stacklevel=1)
