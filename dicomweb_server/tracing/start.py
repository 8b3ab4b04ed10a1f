"""How long each extension took at start, and with what."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

log = logging.getLogger(__name__)


class StartTimes:
    """Seconds by extension and step: `load`, `register`, `build`, and `hooks` under a trace.

    What two extensions import is loaded once, by whichever comes first.
    """

    def __init__(self) -> None:
        self._seconds: dict[str, dict[str, float]] = {}

    def add(self, extension: str, step: str, seconds: float) -> None:
        """Count a step, perhaps one more time."""
        steps = self._seconds.setdefault(extension, {})
        steps[step] = steps.get(step, 0.0) + seconds

    @contextmanager
    def measured(self, extension: str, step: str) -> Iterator[None]:
        """Count the block as a step, also if it fails."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.add(extension, step, time.perf_counter() - began)

    def by_extension(self) -> Mapping[str, Mapping[str, float]]:
        """Extension -> step -> seconds; the slowest extension first."""
        slowest = sorted(self._seconds.items(), key=lambda pair: -sum(pair[1].values()))
        return dict(slowest)

    def report(self, logger: logging.Logger = log, level: int = logging.DEBUG) -> None:
        """Log a line for each extension."""
        for extension, steps in self.by_extension().items():
            each = milliseconds(steps)
            told = ", ".join(f"{step} {spent}" for step, spent in each.items())
            total = round(sum(each.values()), 3)
            fields = {"extension": extension, "milliseconds": total, "steps": each}
            logger.log(
                level,
                "extension %s took %.1f ms to start: %s",
                *(extension, total, told),
                extra={"fields": fields},
            )


def milliseconds(seconds: Mapping[str, float]) -> dict[str, float]:
    """Seconds as milliseconds, to the microsecond."""
    return {name: round(spent * 1000, 3) for name, spent in seconds.items()}
