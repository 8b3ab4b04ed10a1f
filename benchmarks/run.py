"""Measures a server with two workers, alone or beside another one in the same run.

    make bench
    make bench ARGS="--against other=http://127.0.0.1:8042/dicom-web --only qido"

Everything is made here: a series of 300 small CT slices and 500 small studies. Each workload runs
on one connection that is kept open; servers take turns. Compare ratios of one run only.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from dicomweb_server.ps318.multipart import PART_END, MultipartEncoder
from dicomweb_server.testing.dicom import make_instance
from dicomweb_server.testing.server import RunningServer

JSON = "application/dicom+json"
DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=*'
STUDY, SERIES = "1.2.826.0.1.3680043.10.1", "1.2.826.0.1.3680043.10.1.1"
SLICES, SMALL = 300, 500
SLICE_BYTES = 32768


class Connection:
    """A connection that is kept open, and no more HTTP than is needed here."""

    def __init__(self, base: str) -> None:
        parts = urlsplit(base)
        self.root = parts.path.rstrip("/")
        self.host = parts.netloc
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._connect()

    def _connect(self) -> None:
        self._socket = socket.create_connection(self._address, 60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")

    def request(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> int:
        """Send, read the whole answer; the number of its bytes. Raises for a status over 299."""
        lines = [f"{method} {self.root}{path} HTTP/1.1", f"Host: {self.host}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        status = int(self._file.readline().split()[1])
        fields = dict(self._fields())
        size = self._read_body(fields)
        if status > 299:
            raise RuntimeError(f"{method} {path} was answered with {status}")
        return size

    def _fields(self) -> Iterator[tuple[str, str]]:
        while line := self._file.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            yield name.lower(), value.strip()

    def _read_body(self, fields: dict[str, str]) -> int:
        if "content-length" in fields:
            return self._skip(int(fields["content-length"]))
        if fields.get("transfer-encoding") != "chunked":
            size = len(self._file.read())
            self._connect()  # the end of the connection was the end of the answer
            return size
        size = 0
        while chunk := int(self._file.readline(), 16):
            size += self._skip(chunk)
            self._file.readline()
        self._file.readline()
        return size

    def _skip(self, size: int) -> int:
        left = size
        while left:
            left -= len(self._file.read(min(left, 1 << 20)))
        return size


@dataclass(frozen=True)
class Workload:
    """A kind of request; `make(n)` is the n-th, `instances` how many it stores."""

    name: str
    make: Callable[[int], tuple[str, str, dict[str, str], bytes]]
    instances: int = 1


def multipart(parts: list[bytes]) -> tuple[bytes, str]:
    """A STOW-RS body and its Content-Type."""
    encoder = MultipartEncoder()
    pieces = [encoder.part_header("application/dicom", len(p)) + p + PART_END for p in parts]
    return b"".join([*pieces, encoder.closing()]), encoder.content_type("application/dicom")


def slice_of(number: int) -> bytes:
    """One slice of the series."""
    return make_instance(
        PatientID="BENCH",
        StudyInstanceUID=STUDY,
        SeriesInstanceUID=SERIES,
        SOPInstanceUID=f"{SERIES}.{number}",
        Modality="CT",
        InstanceNumber=number,
        pixels=bytes(SLICE_BYTES),
    )


def small(number: int, prefix: str = "S") -> bytes:
    """The one instance of a small study."""
    uid = f"1.2.826.0.1.3680043.10.2.{abs(hash(prefix)) % 10**9}.{number}"
    return make_instance(
        PatientID=f"{prefix}{number}",
        StudyInstanceUID=uid,
        SeriesInstanceUID=f"{uid}.1",
        SOPInstanceUID=f"{uid}.1.1",
    )


def get(path: str, accept: str = JSON, **more: str) -> tuple[str, str, dict[str, str], bytes]:
    """A reading request."""
    return "GET", path, {"Accept": accept, **more}, b""


def post(parts: list[bytes]) -> tuple[str, str, dict[str, str], bytes]:
    """A storing request."""
    body, content_type = multipart(parts)
    return "POST", "/studies", {"Content-Type": content_type, "Accept": JSON}, body


def workloads() -> list[Workload]:
    """Everything that can be measured."""
    series = f"/studies/{STUDY}/series/{SERIES}"
    fresh = f"N{time.time_ns()}-"
    packed = {"Accept-Encoding": "gzip"}
    one = f"{series}/instances/{SERIES}.7"
    return [
        Workload("qido.patient-id", lambda n: get(f"/studies?PatientID=S{n % SMALL}")),
        Workload("qido.all-100", lambda _: get("/studies?limit=100")),
        Workload("qido.instances", lambda _: get(f"{series}/instances")),
        Workload("metadata.series", lambda _: get(f"{series}/metadata")),
        Workload("metadata.series.gzip", lambda _: get(f"{series}/metadata", **packed)),
        Workload("metadata.instance", lambda _: get(f"{one}/metadata")),
        Workload("wado.instance", lambda _: get(one, DICOM)),
        Workload("wado.series", lambda _: get(series, DICOM)),
        Workload("stow.1", lambda n: post([small(n, fresh)])),
        Workload(
            "stow.100", lambda n: post([small(n * 100 + i, f"B{fresh}") for i in range(100)]), 100
        ),
    ]


def load(connection: Connection) -> None:
    """Store the data."""
    parts = [slice_of(n) for n in range(1, SLICES + 1)] + [small(n) for n in range(SMALL)]
    for start in range(0, len(parts), 100):
        connection.request(*post(parts[start : start + 100]))


def measure(connection: Connection, workload: Workload, seconds: float, first: int) -> list[float]:
    """Seconds of each request; requests are made before the clock starts."""
    made = [workload.make(first + n) for n in range(20 if workload.instances > 1 else 200)]
    connection.request(*made[0])
    times: list[float] = []
    end = time.perf_counter() + seconds
    for request in made[1:] if workload.name.startswith("stow") else made * 1000:
        began = time.perf_counter()
        connection.request(*request)
        times.append(time.perf_counter() - began)
        if time.perf_counter() > end:
            break
    return times


def report(name: str, workload: Workload, times: list[float], base: float) -> float:
    """Print a line of the table; the rate in requests (or instances) a second."""
    rate = workload.instances * len(times) / sum(times)
    slow = sorted(times)[int(len(times) * 0.99)]
    ratio = rate / base if base else 1.0
    print(
        f"| {workload.name} | {name} | {rate:.0f} | {statistics.median(times) * 1000:.2f} "
        f"| {slow * 1000:.2f} | {ratio:.2f} |",
        flush=True,
    )
    return rate


def run(servers: dict[str, str], seconds: float, only: list[str]) -> None:
    """Load every server, then measure them in turns."""
    connections = {name: Connection(url) for name, url in servers.items()}
    for connection in connections.values():
        load(connection)
    print("| workload | server | per second | p50 ms | p99 ms | ratio |\n|---|---|---|---|---|---|")
    for number, workload in enumerate(workloads()):
        if only and not any(part in workload.name for part in only):
            continue
        base = 0.0
        for turn, (name, connection) in enumerate(connections.items()):
            times = measure(connection, workload, seconds, 10_000 * (number + 1) + 1_000 * turn)
            rate = report(name, workload, times, base)
            base = base or rate


def main() -> None:
    """Start our server and measure it, behind the others that were named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one turn")
    parser.add_argument("--only", default="", help="parts of names of workloads, with commas")
    parser.add_argument("--against", action="append", default=[], metavar="NAME=URL")
    arguments = parser.parse_args()
    others = dict(text.partition("=")[::2] for text in arguments.against)
    only = [part for part in arguments.only.split(",") if part]
    with RunningServer({"LogLevel": "warning"}) as server:
        run({**others, "ours": server.url}, arguments.seconds, only)


if __name__ == "__main__":
    main()
