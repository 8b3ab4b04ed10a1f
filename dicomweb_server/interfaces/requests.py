"""What is told of a request when it is over: for audit logs and statistics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dicomweb_server.interfaces.auth import Action


class Result(StrEnum):
    """How a request ended."""

    DONE = "done"
    REFUSED = "refused"
    """Who asked could not log in (401) or may not do it (403)."""
    FAILED = "failed"
    """Anything else with a status of 400 or more, such as what is not there."""


@dataclass(frozen=True, slots=True)
class Touched:
    """What a request was about: a study, series or instance, as far as it is known.

    `failure`: the Failure Reason (0008,1197) of an instance that was not stored.
    """

    study: str = ""
    series: str = ""
    instance: str = ""
    patient_id: str = ""
    failure: int = 0


@dataclass(frozen=True, slots=True)
class RequestSummary:
    """One request. `time` is when it came, in UTC; `seconds` is how long until its answer began.

    `user` is "" for somebody who did not log in, and names the link of somebody who came by one.
    `route` is the pattern that the path fits, "" for none; `action` is None then. Neither query
    strings nor bodies are told. `tried` is the name under which somebody could not log in: it is
    whatever the client sent, without characters that cannot be printed, and no longer than 200.
    """

    time: datetime
    seconds: float
    request_id: str
    address: str
    user: str
    groups: tuple[str, ...]
    method: str
    path: str
    route: str
    action: Action | None
    status: int
    result: Result
    touched: tuple[Touched, ...]
    tried: str = ""
