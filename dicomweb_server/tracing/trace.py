"""The trace: a line for each call of a hook, and one for each request."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

from dicomweb_server.tracing.account import Account
from dicomweb_server.tracing.providers import counted, counted_class
from dicomweb_server.tracing.start import StartTimes, milliseconds

log = logging.getLogger("dicomweb_server.trace")
C = TypeVar("C", bound=type[Any])


class Trace:
    """Wraps what extensions bring so that it is logged and counted. Values are never logged."""

    def __init__(self, times: StartTimes) -> None:
        # Who asks for the trace wants to see it, whatever LogLevel says.
        log.setLevel(logging.INFO)
        self._times = times
        self._account = Account()

    # --- at start: what is wrapped -----------------------------------------------------------

    def hook(self, extension: str, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """An implementation of a hook that logs each of its calls."""

        @functools.wraps(function)
        def traced(*args: Any, **kwargs: Any) -> Any:
            answered = "nothing"
            began = time.perf_counter()
            try:
                with self._account.spending(extension):
                    result = function(*args, **kwargs)
                answered = kind_of_answer(result)
            except BaseException as error:
                answered = f"raised {type(error).__name__}"
                raise
            finally:
                self._called(extension, hook, answered, time.perf_counter() - began)
            return result

        return traced

    def provider(self, extension: str, kind: type[Any], chosen: C) -> C:
        """A class that stands for `chosen` and counts the methods of its interface `kind`."""
        return counted_class(self._account, extension, kind, chosen)

    def view(self, extension: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A view that counts itself."""
        return counted(self._account, extension, function)

    def _called(self, extension: str, hook: str, answered: str, seconds: float) -> None:
        if not self._account.is_open:
            self._times.add(extension, "hooks", seconds)
        spent = round(seconds * 1000, 3)
        log.info(
            "hook %s: %s answered %s in %.3f ms",
            *(hook, extension, answered, spent),
            extra={
                "fields": {
                    "hook": hook,
                    "extension": extension,
                    "answered": answered,
                    "milliseconds": spent,
                }
            },
        )

    def started(self) -> None:
        """Log how long each extension took to start."""
        self._times.report(log, logging.INFO)

    # --- for each request --------------------------------------------------------------------

    def begin(self) -> None:
        """A request begins in this thread."""
        self._account.begin()

    def end(self, request_id: str, method: str, path: str, status: int) -> None:
        """The answer was sent: log how long each extension worked for it, the longest first."""
        spent = milliseconds(self._account.end())
        each = dict(sorted(spent.items(), key=lambda pair: -pair[1]))
        told = ", ".join(f"{name} {number:.3f} ms" for name, number in each.items())
        fields = {"request_id": request_id, "method": method, "path": path, "status": status}
        log.info(
            "request %s %s %d %s: %s",
            *(method, path, status, request_id, told or "no extension"),
            extra={"fields": fields | {"extensions": each}},
        )


def kind_of_answer(result: object) -> str:
    """What kind of thing a hook returned: "nothing", "str", "a list of 2: SqlIndex, ..."."""
    if result is None:
        return "nothing"
    if not isinstance(result, list):
        return type(result).__name__
    kinds = [each.__name__ if isinstance(each, type) else type(each).__name__ for each in result]
    return f"a list of {len(result)}" + (f": {', '.join(dict.fromkeys(kinds))}" if kinds else "")
