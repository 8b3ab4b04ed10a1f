"""Retrieve DICOM Instance (PS3.18 9.4): the file, in a transfer syntax, anonymized if wanted."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from flask import Response

from dicomweb_server.dicom import DicomError
from dicomweb_server.dicom.anonymize import anonymized
from dicomweb_server.dicom.anonymous import Pseudonyms
from dicomweb_server.http import (
    HttpError,
    current_context,
    not_modified,
    stream_answer,
    warn,
    with_etag,
)
from dicomweb_server.http.delivery import content_type_of, instance_answer
from dicomweb_server.http.resources import tag_of_records
from dicomweb_server.http.silence import set_timeout
from dicomweb_server.interfaces.index import InstanceRecord
from dicomweb_server.interfaces.state import StateStore, kept_secret
from dicomweb_server.ps318.errors import NotAcceptable
from dicomweb_wado_uri.burned_in import UNCHECKED, check_burned_in
from dicomweb_wado_uri.query import AS_STORED, Parameters, transfer_syntax, wants_anonymous

_NAMESPACE, _KEY = "wado-uri", "anonymization-key"


@dataclass
class Keyring:
    """The key of pseudonyms: the configured one, or one that the state store keeps for all."""

    state: StateStore
    configured: str
    _key: bytes = b""

    def key(self) -> bytes:
        """The key; raises `StateError` when the state store cannot be reached."""
        if not self._key:
            configured = self.configured.encode()
            self._key = configured or kept_secret(self.state, _NAMESPACE, _KEY)
        return self._key


def file_answer(record: InstanceRecord, parameters: Parameters, keys: Keyring) -> Response:
    """The file in the transfer syntax that is asked for; by default Explicit VR Little Endian."""
    anonymous = wants_anonymous(parameters)
    syntax = transfer_syntax(parameters)
    _check(record, syntax)
    set_timeout()
    if anonymous:
        return _anonymous(record, syntax, keys)
    return instance_answer(current_context().services.retrieve.delivery(record, [syntax]))


def _check(record: InstanceRecord, syntax: str | None) -> None:
    """Raise 406 with what is possible, if a transfer syntax is not (9.4.2.4)."""
    if syntax in (None, AS_STORED):
        return
    service = current_context().services.retrieve
    possible = service.possible([record])
    if syntax in possible:
        return
    raise NotAcceptable(
        f"The instance cannot be had in the transfer syntax {syntax}; possible: "
        f"{', '.join([*sorted(possible), AS_STORED])}."
    )


def _anonymous(record: InstanceRecord, syntax: str | None, keys: Keyring) -> Response:
    context = current_context()
    checked = check_burned_in(record)
    service = context.services.retrieve
    delivery = service.delivery(record, [syntax])
    key = keys.key()
    mark = hashlib.sha256(b"mark" + key).hexdigest()[:16]
    etag = tag_of_records([record], "anonymous", mark, delivery.target, str(delivery.as_stored))
    cached = not_modified(etag)
    if cached is not None:
        return cached
    try:
        if delivery.as_stored:
            content = service.as_file(delivery)
        else:
            delivery, content = service.at_best(delivery)
        names = Pseudonyms(key)
        pieces = anonymized(content, delivery.target, names, dictionary=context.dictionary)
        answer = with_etag(stream_answer(pieces, content_type_of(delivery)), etag)
    except DicomError as error:
        raise HttpError(406, f"the instance cannot be anonymized: {error}") from error
    if not checked:
        warn(answer, UNCHECKED)
    return answer
