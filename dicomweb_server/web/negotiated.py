"""The form and the transfer syntaxes in which instances go out (PS3.18 8.7.3.5, 8.7.8)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from flask import g, request

from dicomweb_server.http.access import current_context
from dicomweb_server.http.answers import choose
from dicomweb_server.http.resources import COUNTED
from dicomweb_server.interfaces.index import InstanceRecord
from dicomweb_server.ps318.accept import ANY, Offer
from dicomweb_server.ps318.errors import NotAcceptable
from dicomweb_server.ps318.media_types import DICOM, OCTET_STREAM, ZIP
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.services.retrieve import AS_STORED, Wanted

BULK_DATA = Offer(OCTET_STREAM, multipart=True)
"""Of an instance resource it means the same as of its bulk data (PS3.18 table 10.4.4-1, note 2)."""
_NAMED = 10
"""Instances that a refusal names."""
_LOOKED_AT = 100
"""Instances whose pixels decide which transfer syntaxes a refusal lists."""


def negotiated(resource: Resource, page: Sequence[InstanceRecord]) -> tuple[Offer, Wanted]:
    """The form of the answer, and the transfer syntaxes that the client takes in it.

    Each instance goes out in the first of them in which it can be had.

    Args:
        page: the first instances of the resource, `COUNTED` at most.

    Raises:
        NotAcceptable: some instance, which the sentence names, cannot be had in any of them.
    """
    forms = _forms(resource)
    match = choose([*(_any(form) for form in forms), BULK_DATA])
    if match.transfer_syntax in (None, AS_STORED):
        return match.offer, (match.transfer_syntax,)
    # A certain syntax is wanted: only now is it worth finding out which ones there are.
    service = current_context().services.retrieve
    sample, refused = list(page[:_LOOKED_AT]), ""
    possible = service.reachable(resource, g.scope)
    while True:
        try:
            offer, wanted = _ranked(forms, possible)
        except NotAcceptable:
            raise _refusal(forms, service.possible(sample), refused) from None
        if offer == BULK_DATA or wanted[-1] in (None, AS_STORED):
            return offer, wanted
        whole = page if len(page) < COUNTED else service.records(resource, g.scope)
        obstacles = service.obstacles(whole, wanted)
        if not obstacles:
            return offer, wanted
        sample += obstacles[:_LOOKED_AT]
        possible = service.possible(sample).difference(filter(None, wanted))
        refused += _reason(wanted, obstacles)


def _forms(resource: Resource) -> tuple[tuple[str, bool], ...]:
    """Media types, and whether they are parts: the preferred one first."""
    many, one, zipped = (DICOM, True), (DICOM, False), (ZIP, False)
    if resource.instance is None:
        return many, zipped
    # A range is of one file: multipart has none.
    return (one, many, zipped) if "HTTP_RANGE" in request.environ else (many, one, zipped)


def _any(form: tuple[str, bool]) -> Offer:
    return Offer(*form, transfer_syntaxes=ANY, as_stored=True)


def _choice(forms: Iterable[tuple[str, bool]], possible: Collection[str]) -> list[Offer]:
    forms = tuple(forms)
    exact = [Offer(*form, frozenset({uid})) for form in forms for uid in sorted(possible)]
    # Instances without a syntax in common can still be had as they are stored.
    stored = [Offer(*form, frozenset(), as_stored=True) for form in forms]
    return [*exact, *stored, BULK_DATA]


def _ranked(
    forms: tuple[tuple[str, bool], ...], reachable: frozenset[str]
) -> tuple[Offer, tuple[str | None, ...]]:
    """The best form, and what the client takes in it, the best first; raises `NotAcceptable`."""
    first = choose(_choice(forms, reachable))
    if first.offer == BULK_DATA:
        return first.offer, (None,)
    form = (first.offer.media_type, first.offer.multipart)
    wanted = [first.transfer_syntax]
    left = set(reachable)
    while wanted[-1] not in (None, AS_STORED):
        left.discard(str(wanted[-1]))
        try:
            match = choose(_choice((form,), left))
        except NotAcceptable:
            break
        if match.offer == BULK_DATA:
            break
        wanted.append(match.transfer_syntax)
    return first.offer, tuple(wanted)


def _refusal(
    forms: tuple[tuple[str, bool], ...], possible: frozenset[str], reasons: str
) -> NotAcceptable:
    """Lists what can be had of these very instances."""
    try:
        choose(_choice(forms, possible))
    except NotAcceptable as error:
        return NotAcceptable(f"{error}{reasons}")
    return NotAcceptable(f"Nothing that is accepted can be sent.{reasons}")


def _reason(wanted: Wanted, obstacles: Sequence[InstanceRecord]) -> str:
    names = ", ".join(record.sop_uid for record in obstacles[:_NAMED])
    more = "" if len(obstacles) <= _NAMED else f" and {len(obstacles) - _NAMED} more"
    syntaxes = " or ".join(map(str, wanted))
    return f" These instances cannot be transcoded to {syntaxes}: {names}{more}."
