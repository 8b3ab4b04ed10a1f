"""What may be sent: `contentType`, else the header Accept (PS3.18 9.1.2.2.1, 9.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dicomweb_server.ps318.accept import Offer, accepted_ranges, negotiate
from dicomweb_server.ps318.errors import BadRequest, NotAcceptable
from dicomweb_server.ps318.media_types import DICOM, parse_or_none
from dicomweb_wado_uri.query import Parameters, listed

_FORBIDDEN: Final = ("transfer-syntax", "charset")
_SHOWN: Final = 300


@dataclass(frozen=True, slots=True)
class Acceptable:
    """What the client takes: a list of media types, and the name of where it stands.

    A `contentType` decides alone: a library adds `Accept: */*` without being asked, and a picture
    in place of what was named would be a wrong answer.
    """

    name: str
    text: str

    @classmethod
    def of(cls, parameters: Parameters, accept: str) -> Acceptable:
        """Raises `BadRequest` for what is no list of media types, and for forbidden parameters."""
        given = listed(parameters, "contentType")
        if given is not None:
            wrong = [each for each in given.split(",") if parse_or_none(each) is None]
            if wrong:
                raise BadRequest(
                    f"contentType has {wrong[0][:_SHOWN]!r}, which is no media type; possible are "
                    "such as application/dicom or image/jpeg."
                )
            found = cls("contentType", given)
        else:
            found = cls("Accept", accept if accept.strip() else "*/*")
        found._refuse_parameters()
        return found

    def _refuse_parameters(self) -> None:
        for media_range in accepted_ranges(self.text):
            for name in _FORBIDDEN:
                if media_range.get(name) is not None:
                    raise BadRequest(
                        f"{self.name} has the parameter {name}, which WADO-URI forbids; possible "
                        f"are the query parameters transferSyntax and charset."
                    )

    @property
    def names_files(self) -> bool:
        """Whether `application/dicom` is meant: `*/*` means something to look at (9.3)."""
        essences = {media_range.essence for media_range in accepted_ranges(self.text)}
        return bool(essences & {DICOM, "application/*"})

    def choose(self, rendered: Sequence[str]) -> str:
        """The media type that the client likes best, of those in which it can be rendered.

        `application/dicom` is always there for who names it. Raises `NotAcceptable`.
        """
        offers = tuple(Offer(each) for each in rendered)
        files = (Offer(DICOM),)
        try:
            return negotiate(self.text, offers + files * self.names_files).offer.media_type
        except NotAcceptable as error:
            possible = ", ".join(dict.fromkeys((*rendered, DICOM)))
            raise NotAcceptable(
                f"Nothing in {self.name} {self.text[:_SHOWN]!r} can be sent; possible: {possible}."
            ) from error
