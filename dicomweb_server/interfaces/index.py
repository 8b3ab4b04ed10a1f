"""What is known of instances, kept so that it can be searched without opening a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from dicomweb_server.interfaces.provider import Provider

if TYPE_CHECKING:
    from dicomweb_server.dicom import OrthancIds, ParsedInstance
    from dicomweb_server.interfaces.auth import Scope
    from dicomweb_server.ps318.paths import Resource
    from dicomweb_server.ps318.query_model import Condition, Order, Query, QueryLevel


class IndexFailure(Exception):
    """The index cannot do what was asked, for now; the message is for an operator.

    `undone`: it is certain that nothing was written, and nothing will be; False where a write may
    have gone through though its answer was lost.
    """

    undone: bool = False


class IndexUnavailable(IndexFailure):
    """The database is locked, gone, or of another schema (HTTP 503)."""


class IndexFull(IndexFailure):
    """There is no room for the index to grow (HTTP 507)."""


class InstanceGone(Exception):
    """An instance was deleted while something was made of it (HTTP 404)."""


class Overwrite(Enum):
    """What happens to an instance that is there already (`OverwriteInstances`)."""

    NEVER = "Never"
    ALWAYS = "Always"
    IF_CHANGED = "IfChanged"


class Outcome(Enum):
    """What `Index.add` did with one instance."""

    STORED = "stored"
    REPLACED = "replaced"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class BlobRef:
    """Where bytes lie: the alias of a storage, and the key in it."""

    storage: str
    key: str


@dataclass(frozen=True, slots=True)
class BlobEntry:
    """A blob that an instance needs: its size in bytes, and its SHA-256 in lower-case hex."""

    ref: BlobRef
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Origin:
    """How an instance came here. `kind` is for example "STOW-RS" or "import"."""

    kind: str
    remote_address: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True)
class NewInstance:
    """One instance whose bytes are durable and that is to be indexed.

    `md5` and `sha256` are of the whole file, in lower-case hex; `md5` MAY be "".
    """

    parsed: ParsedInstance
    blob: BlobRef
    size: int
    md5: str
    sha256: str
    received: datetime
    origin: Origin


@dataclass(frozen=True, slots=True)
class Added:
    """The result for one `NewInstance`; `discarded` is the blob that nobody needs any more.

    `kept` is what the index has instead, if the outcome is KEPT.
    """

    outcome: Outcome
    ids: OrthancIds
    discarded: BlobRef | None
    kept: BlobEntry | None = None


@dataclass(frozen=True, slots=True)
class InstanceRecord:
    """One indexed instance, as retrieval needs it.

    `row` is the index's own key; `revision` changes with everything that is known of the
    instance, and is never used again.
    """

    row: int
    patient_id: str
    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class_uid: str
    transfer_syntax: str
    blob: BlobRef
    size: int
    deflated: bool
    revision: int


@dataclass(frozen=True, slots=True)
class Found:
    """One match of a search.

    `answer` is the JSON object with the default attributes of its level (PS3.18 10.6.3.3) and no
    others, in which a raw byte 0x1F stands for the base URL. `attributes` are JSON objects with
    everything else that the index has ready: of the levels above first, later ones win.
    """

    row: int
    answer: bytes
    attributes: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Details:
    """What was learnt from one file: see `ParsedInstance` for `header` and `pixel_data`."""

    header: bytes
    located: tuple[tuple[str, str, int, int], ...]
    pixel_data: bytes | None


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the log of changes; `kind` is for example "NewInstance"."""

    seq: int
    kind: str
    level: str
    orthanc_id: str
    date: datetime


@dataclass(frozen=True, slots=True)
class Statistics:
    """How much the archive holds; `size` in bytes."""

    patients: int
    studies: int
    series: int
    instances: int
    size: int


@dataclass(frozen=True, slots=True)
class PatientRecord:
    """One patient: bytes of its instances, and a number that grows when one is stored."""

    orthanc_id: str
    patient_id: str
    size: int
    stored: int


class Index(Provider, ABC):
    """Patients, studies, series and instances, unique by Orthanc identifier.

    Every method MUST be safe to call from many threads and processes, MUST raise
    `IndexUnavailable` when the database cannot be reached and `IndexFull` when it cannot grow,
    and a write either happened wholly and durably when it returns, or not at all.
    """

    # --- writing ---------------------------------------------------------------------------

    @abstractmethod
    def add(
        self, instances: Sequence[NewInstance], *, overwrite: Overwrite = Overwrite.NEVER
    ) -> list[Added]:
        """Index instances in one transaction with their entries in the log of changes."""

    @abstractmethod
    def delete(self, resource: Resource, scope: Scope) -> list[BlobRef]:
        """Delete all instances of a resource, and parents that become empty; their blobs."""

    def delete_patient(self, record: PatientRecord) -> list[BlobRef]:
        """Delete a patient wholly; nothing when it changed since the record was read."""
        raise self._lacks("deletes whole patients")

    def relocate(self, moves: Sequence[tuple[BlobRef, BlobRef]]) -> set[BlobRef]:
        """Point instances to other blobs with the same bytes, each from an old one to a new one.

        Returns the old ones that were needed until now; the others were deleted or replaced.
        """
        raise self._lacks("moves instances")

    @abstractmethod
    def reindex(self, instances: Sequence[NewInstance]) -> int:
        """Replace what is known of blobs that are indexed, add those that are not.

        Blobs that were deleted stay deleted (tombstones). Returns how many are indexed now.
        """

    # --- searching -------------------------------------------------------------------------

    @abstractmethod
    def answers(self, condition: Condition, level: QueryLevel) -> bool:
        """Whether `search` evaluates the condition itself; the service filters the others.

        It says so of the condition alone. Of two that look into the same sequence, the service
        finds out whether the same item fulfils them (PS3.4, C.2.2.2.6): `scan` MUST NOT lose a
        match whose item does.
        """

    def keeps(self, condition: Condition, level: QueryLevel) -> bool:
        """Whether `answers` will be True as soon as `fill` did its work; MUST NOT need a database.

        By default it is what `answers` says.
        """
        return self.answers(condition, level)

    @abstractmethod
    def search(self, query: Query, scope: Scope, *, attributes: bool = False) -> list[Found]:
        """Matches in a stable order, from `query.offset`, at most `query.limit`.

        Only conditions that `answers` accepts MAY be in the query. `attributes` asks for
        `Found.attributes`. What is told of a match, and whatever it is found by, MUST be of what
        lies inside of the scope: a patient's other studies are not there, nor a study's other
        series if the scope names some.
        """

    @abstractmethod
    def sorts(self, order: Order, level: QueryLevel) -> bool:
        """Whether `search` and `scan` sort by the attribute (`query.order`), empty ones last."""

    @abstractmethod
    def count(self, query: Query, scope: Scope) -> int:
        """How many matches there are, without offset and limit; conditions as for `search`."""

    @abstractmethod
    def scan(self, query: Query, scope: Scope) -> Iterator[tuple[Found, bytes]]:
        """Matches without offset and limit, each with the headers of instances below it.

        These are all that lie inside of the scope and fulfil the conditions on attributes of lower
        levels. Headers of one match follow each other; order as in `search`.
        """

    @abstractmethod
    def representative(
        self,
        level: QueryLevel,
        row: int,
        conditions: Sequence[Condition] = (),
        *,
        scope: Scope,
    ) -> bytes:
        """The header of one instance of a match: the same one every time.

        One that lies inside of the scope, and fulfils the conditions on attributes of lower
        levels, so that an answer shows why it is one. Conditions that `answers` refuses are not
        given.
        """

    def representatives(
        self,
        level: QueryLevel,
        rows: Sequence[int],
        conditions: Sequence[Condition] = (),
        *,
        scope: Scope,
    ) -> Mapping[int, bytes]:
        """What `representative` says of each of some matches, by their rows.

        Rows that are gone may be left out.
        """
        return {row: self.representative(level, row, conditions, scope=scope) for row in rows}

    # --- retrieving ------------------------------------------------------------------------

    @abstractmethod
    def version(self, resource: Resource, scope: Scope) -> str | None:
        """A text that changes whenever anything of the resource changes; None: nothing is there.

        Never the same again, even after everything was deleted and stored anew. It MUST differ
        for who sees another part of the resource, and MUST stay when what is not seen changes,
        if `scope.series` hides it.
        """

    @abstractmethod
    def transfer_syntaxes(self, resource: Resource, scope: Scope) -> frozenset[str]:
        """The transfer syntaxes in which the instances of a resource are stored."""

    def count_pixel_data(self, resource: Resource, scope: Scope) -> Mapping[str, tuple[int, int]]:
        """How many instances of a resource there are, and how many of them have pixel data.

        By transfer syntax. SHOULD cost less than to ask for the pixel data of each.
        """
        counts = dict[str, tuple[int, int]]()
        for record in self.instances(resource, scope):
            whole, pictures = counts.get(record.transfer_syntax, (0, 0))
            has = self.pixel_data(record.row) is not None
            counts[record.transfer_syntax] = (whole + 1, pictures + has)
        return counts

    @abstractmethod
    def instances(self, resource: Resource, scope: Scope) -> Iterator[InstanceRecord]:
        """The instances of a resource, by series, instance number and arrival."""

    @abstractmethod
    def headers(self, resource: Resource, scope: Scope) -> Iterator[tuple[InstanceRecord, bytes]]:
        """As `instances`, each with its header (`ParsedInstance.header`)."""

    @abstractmethod
    def details(self, row: int) -> Details | None:
        """What was learnt from one file; None when it was deleted meanwhile."""

    def pixel_data(self, row: int) -> bytes | None:
        """`Details.pixel_data` alone, which is asked for with each frame; None if there is none.

        SHOULD cost less than `details`.
        """
        found = self.details(row)
        return None if found is None else found.pixel_data

    def state(self) -> Hashable | None:
        """A value that is another one after every commit, and never one of before again.

        None: that cannot be told. It MUST show what others committed, from the moment on at which
        their own write returned. An answer is sent again as long as it stays, so it SHOULD cost
        much less than a search.
        """
        return None

    # --- looking after it ------------------------------------------------------------------

    def unfilled(self) -> int:
        """How many studies lack attributes of `ExtraMainDicomTags` that the index is to hold."""
        return 0

    def fill(self) -> Iterator[None]:
        """Hold those of what was stored before they were configured; yields after each study.

        Others MUST be able to store and search meanwhile.
        """
        return iter(())

    def patients(self) -> Iterator[PatientRecord]:
        """Every patient, the one first that was not stored to for longest."""
        raise self._lacks("lists patients")

    def patient(self, orthanc_id: str) -> PatientRecord | None:
        """One patient by its Orthanc identifier."""
        raise self._lacks("lists patients")

    def studies_of(self, record: PatientRecord) -> list[str]:
        """The UIDs of a patient's studies."""
        raise self._lacks("deletes whole patients")

    @abstractmethod
    def changes(self, *, after: int = 0, limit: int = 100) -> list[Change]:
        """Entries of the log of changes, oldest first."""

    @abstractmethod
    def statistics(self) -> Statistics:
        """How much there is."""

    @abstractmethod
    def blobs(
        self,
        *,
        storage: str | None = None,
        received_before: datetime | None = None,
        study: str | None = None,
    ) -> Iterator[BlobEntry]:
        """Every blob that an indexed instance needs.

        Only those in the storage of that alias, of instances that came before a moment (with its
        time zone), of a study by its UID; MUST go on when blobs are relocated meanwhile.
        """

    @abstractmethod
    def storages(self) -> frozenset[str]:
        """The aliases of the storages in which instances lie; MUST be quick."""

    @abstractmethod
    def knows(self, blobs: Sequence[BlobRef]) -> set[BlobRef]:
        """Those of the given blobs that an indexed instance needs right now."""

    def copy_to(self, target: Path) -> Iterator[BlobEntry]:
        """Write a copy of one moment to a file, then yield every blob that the copy needs."""
        raise self._lacks("can be copied")

    def restoring(self, copy: Path) -> AbstractContextManager[Iterable[BlobEntry]]:
        """The blobs that a copy needs; when the block ends well, the copy becomes the index.

        MUST raise `IndexFailure` when there is an index already.
        """
        raise self._lacks("can be copied")

    @abstractmethod
    def verify(self, *, repair: bool = False) -> list[str]:
        """Sentences about everything that contradicts itself (counts, parents); mends it."""

    def undescribed(self) -> list[BlobRef]:
        """Blobs of which what was read is lost or damaged: `reindex` must be told it again."""
        return []

    @abstractmethod
    def migrate(self) -> str:
        """Bring the schema to the version of this program; a sentence about what was done."""

    def _lacks(self, what: str) -> IndexFailure:
        """The error of what an index need not be able to do."""
        return IndexUnavailable(f"the index {self.name!r} is none that {what}")
