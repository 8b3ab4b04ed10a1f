"""A long run of mixed clients, while workers are killed and PostgreSQL is restarted.

    python -m benchmarks.soak --minutes 20 --clients 16

Each client owns the studies of one patient and knows what it was promised: what was answered 200 is
there, byte for byte; what was deleted is gone; searches and metadata show all of the one and none
of the other. Every wrong answer is printed, and the status is 1 if there was one.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx

from dicomweb_server.testing.dicom import make_study, multipart_body, path_of, uids_of
from dicomweb_server.testing.postgresql import RunningPostgreSQL
from dicomweb_server.testing.server import RunningServer

RAW = {"Accept": "application/dicom; transfer-syntax=*"}
_MOST_STUDIES = 12
_PIXELS = (10, 1_000, 100_000, 500_000)
_PATIENCE = 60.0


@dataclass
class Study:
    """What a client knows of a study: digests of instances by their paths."""

    promised: dict[str, str] = field(default_factory=dict)
    uncertain: set[str] = field(default_factory=set)
    doomed: bool = False
    """Its deletion was not answered: it may be gone."""


class Report:
    """What happened, from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.slowest = 0.0

    def count(self, what: str, seconds: float = 0.0) -> None:
        """One more of something, and how long it took."""
        with self._lock:
            self.counts[what] += 1
            self.slowest = max(self.slowest, seconds)

    def fault(self, sentence: str) -> None:
        """An answer was wrong."""
        with self._lock:
            self.wrong.append(sentence)
        print("WRONG:", sentence, flush=True)


class Unanswered(Exception):
    """The server could not answer: the connection broke, or it said 503."""


class Client:
    """One patient's owner; asks for random things until the time is over."""

    def __init__(self, url: str, number: int, report: Report) -> None:
        self._url = url
        self._patient = f"SOAK{number}"
        self._report = report
        self._random = random.Random(number)
        self._studies: dict[str, Study] = {}
        self._deleted: list[str] = []
        self._http = httpx.Client(timeout=_PATIENCE)

    def run(self, end: float) -> None:
        """Ask until a moment of `time.monotonic`, then look at everything once more."""
        jobs = (self.store, self.store, self.retrieve, self.retrieve, self.search, self.metadata)
        while time.monotonic() < end:
            job = self._random.choice((*jobs, self.series, self.revalidate, self.delete))
            with contextlib.suppress(Unanswered):
                job()
        self._finally(self.verify)
        self._http.close()

    def _finally(self, job: Callable[[], None]) -> None:
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                return job()
            except Unanswered:
                if time.monotonic() > until:
                    self._report.fault(f"{self._patient}: no answer for {_PATIENCE:.0f} s")
                    return None
                time.sleep(0.5)

    def _ask(self, method: str, path: str, what: str, **options: object) -> httpx.Response:
        began = time.perf_counter()
        try:
            answer = self._http.request(method, self._url + path, **options)  # type: ignore[arg-type]
        except httpx.TransportError as error:
            self._report.count(f"{what} broken")
            if isinstance(error, httpx.TimeoutException):
                self._report.fault(f"{method} {path} took more than {_PATIENCE:.0f} s")
            raise Unanswered from error
        self._report.count(f"{what} {answer.status_code}", time.perf_counter() - began)
        if answer.status_code == 503:
            time.sleep(0.2)
            raise Unanswered
        if answer.status_code >= 500:
            self._report.fault(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer

    # --- what is asked -----------------------------------------------------------------

    def store(self) -> None:
        """Some instances of a new study, or more of one that is there."""
        if len(self._studies) >= _MOST_STUDIES:
            self.delete()
        known = [uid for uid, study in self._studies.items() if not study.doomed]
        chosen = {}
        if known and self._random.random() < 0.5:
            chosen = {"StudyInstanceUID": self._random.choice(known)}
        pixels = self._random.choice(_PIXELS)
        files = make_study(
            series=1,
            instances=self._random.choice((1, 1, 2, 8)),
            PatientID=self._patient,
            pixels=bytes([self._random.randrange(256)]) * pixels,
            **chosen,
        )
        study = self._studies.setdefault(uids_of(files[0])[0], Study())
        digests = {path_of(data): hashlib.sha256(data).hexdigest() for data in files}
        study.uncertain |= digests.keys()
        body, content_type = multipart_body(files)
        answer = self._ask(
            "POST", "studies", "store", content=body, headers={"Content-Type": content_type}
        )
        if answer.status_code == 200:
            study.uncertain -= digests.keys()
            study.promised |= digests
        elif answer.status_code != 202:
            self._report.fault(f"store: {answer.status_code} {answer.text[:300]}")

    def _some(self) -> tuple[str, Study] | None:
        known = [pair for pair in self._studies.items() if not pair[1].doomed and pair[1].promised]
        return self._random.choice(known) if known else None

    def retrieve(self) -> None:
        """One instance: the bytes that were stored."""
        chosen = self._some()
        if chosen:
            self._check_bytes(*self._random.choice(list(chosen[1].promised.items())))

    def _check_bytes(self, path: str, digest: str) -> None:
        answer = self._ask("GET", path, "retrieve", headers=RAW)
        if answer.status_code != 200:
            self._report.fault(f"{path} was promised, the answer is {answer.status_code}")
        elif hashlib.sha256(answer.content).hexdigest() != digest:
            self._report.fault(f"{path} has other bytes than were stored")

    def search(self) -> None:
        """All studies of the patient, and none that was deleted."""
        answer = self._ask("GET", f"studies?PatientID={self._patient}", "search")
        found = {each["0020000D"]["Value"][0] for each in answer.json()}
        certain = {u for u, s in self._studies.items() if s.promised and not s.doomed}
        if not certain <= found:
            self._report.fault(f"{self._patient}: studies {certain - found} were not found")
        if not found <= self._studies.keys():
            self._report.fault(f"{self._patient}: studies {found - self._studies.keys()} are old")

    def metadata(self) -> None:
        """Of a study: exactly its instances."""
        chosen = self._some()
        if chosen:
            answer = self._ask("GET", f"studies/{chosen[0]}/metadata", "metadata")
            self._compare(*chosen, [each["00080018"]["Value"][0] for each in answer.json()])

    def series(self) -> None:
        """The counts of a study's series."""
        chosen = self._some()
        if chosen:
            answer = self._ask("GET", f"studies/{chosen[0]}/series", "series")
            count = sum(each["00201209"]["Value"][0] for each in answer.json())
            low = len(chosen[1].promised)
            high = len(chosen[1].promised.keys() | chosen[1].uncertain)
            if not low <= count <= high:
                self._report.fault(f"study {chosen[0]} counts {count} of {low} to {high}")

    def _compare(self, uid: str, study: Study, found: list[str]) -> None:
        promised = {path.rpartition("/")[2] for path in study.promised}
        possible = promised | {path.rpartition("/")[2] for path in study.uncertain}
        if len(found) != len(set(found)):
            self._report.fault(f"study {uid} has instances twice")
        if not promised <= set(found) <= possible:
            missing, more = promised - set(found), set(found) - possible
            self._report.fault(f"study {uid} lacks {len(missing)}, has {len(more)} too many")

    def revalidate(self) -> None:
        """A validator of an answer holds as long as nothing changes."""
        chosen = self._some()
        if chosen:
            path = f"studies/{chosen[0]}/metadata"
            etag = self._ask("GET", path, "metadata").headers.get("ETag", "")
            again = self._ask("GET", path, "revalidate", headers={"If-None-Match": etag})
            if again.status_code != 304 and not chosen[1].uncertain:
                self._report.fault(f"{path}: {again.status_code} though nothing changed")

    def delete(self) -> None:
        """A study, which is gone then."""
        if not self._studies:
            return
        uid = self._random.choice(list(self._studies))
        study = self._studies[uid]
        study.doomed = True
        answer = self._ask("DELETE", f"studies/{uid}", "delete")
        if answer.status_code not in (200, 204, 404):
            self._report.fault(f"DELETE of {uid}: {answer.status_code}")
        del self._studies[uid]
        self._deleted.append(uid)

    def verify(self) -> None:
        """Everything that is known."""
        self.search()
        for uid, study in self._studies.items():
            if not study.doomed:
                for path, digest in study.promised.items():
                    self._check_bytes(path, digest)
                answer = self._ask("GET", f"studies/{uid}/metadata", "metadata")
                found = answer.json() if answer.status_code == 200 else []
                self._compare(uid, study, [each["00080018"]["Value"][0] for each in found])
        for uid in self._deleted:
            answer = self._ask("GET", f"studies/{uid}/metadata", "deleted")
            if answer.status_code != 404:
                self._report.fault(f"study {uid} was deleted, the answer is {answer.status_code}")


def disturb(
    server: RunningServer, database: RunningPostgreSQL | None, end: float, pause: float
) -> None:
    """Kill a random worker again and again; in the middle the database crashes and comes back."""
    middle = time.monotonic() + (end - time.monotonic()) / 2
    while time.monotonic() + pause < end:
        time.sleep(pause)
        if database is not None and time.monotonic() > middle:
            database.restart(at_once=True)
            print("PostgreSQL was restarted", flush=True)
            database = None
            continue
        with contextlib.suppress(ProcessLookupError, FileNotFoundError, IndexError):
            os.kill(random.choice(server.workers()), signal.SIGKILL)


def soak(
    *,
    seconds: float,
    clients: int,
    postgresql: bool = True,
    pause: float = 20.0,
) -> tuple[Report, str]:
    """Run it; what happened, and what `dicomweb-server check` says at the end."""
    report = Report()
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(RunningPostgreSQL(durable=True)) if postgresql else None
        index = {"Index": {"Url": database.url(database.create_database())}} if database else {}
        server = stack.enter_context(RunningServer({**index, "LogLevel": "warning"}))
        end = time.monotonic() + seconds
        troubles = threading.Thread(target=disturb, args=(server, database, end, pause))
        troubles.start()
        with ThreadPoolExecutor(clients) as pool:
            running = [
                pool.submit(Client(server.url, number, report).run, end)
                for number in range(clients)
            ]
            for memory in _memory(server, end):
                print(memory, flush=True)
            for each in running:
                each.result()
        troubles.join()
        checked = server.command("check")
        if checked.returncode:
            report.fault(f"check: {checked.stdout}{checked.stderr}")
        for line in server.log.splitlines():
            if "Traceback" in line:
                report.fault("the log of the server has a stack trace")
                print(server.log[-5000:])
                break
    return report, checked.stdout.splitlines()[-1] if checked.stdout else ""


def _memory(server: RunningServer, end: float) -> Iterator[str]:
    """The memory of the workers from time to time."""
    every = max((end - time.monotonic()) / 10, 5)
    while time.monotonic() < end:
        time.sleep(min(every, max(end - time.monotonic(), 0.1)))
        with contextlib.suppress(OSError, StopIteration):
            sizes = (f"{size >> 20}" for size in server.resident_bytes().values())
            yield f"workers: {', '.join(sizes)} MiB"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--pause", type=float, default=20, help="seconds between two kills")
    parser.add_argument("--sqlite", action="store_true", help="instead of PostgreSQL")
    given = parser.parse_args()
    report, checked = soak(
        seconds=given.minutes * 60,
        clients=given.clients,
        postgresql=not given.sqlite,
        pause=given.pause,
    )
    for what, count in sorted(report.counts.items()):
        print(f"{count:8} {what}")
    print(f"slowest answer {report.slowest:.1f} s; check: {checked}")
    print(f"{len(report.wrong)} wrong answers")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
