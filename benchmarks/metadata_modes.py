"""Measures the metadata modes in one run: what they cost the server, and how long the answers are.

    python -m benchmarks.metadata_modes --rounds 5

A series of 300 slices with a real CT header of 137 attributes is stored in three servers of one
worker, one for each mode; they take turns. The first request after a change assembles the answer;
later ones send the file that was kept. CPU is the time of the worker, whoever else computes.
"""

from __future__ import annotations

import argparse
import gzip
import statistics
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from copy import copy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pydicom
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from benchmarks.run import SERIES, STUDY, Connection, get, post
from dicomweb_server.testing.dicom import write_dataset
from dicomweb_server.testing.server import RunningServer

MODES = ("Full", "MainDicomTags", "Extrapolate")
SLICES, ATTRIBUTES = 300, 137
PACKED = {"Accept-Encoding": "gzip"}
PATH = f"/studies/{STUDY}/series/{SERIES}/metadata"

EXTRAPOLATED = (
    *("BitsAllocated", "BitsStored", "Columns", "FrameOfReferenceUID", "HighBit"),
    *("PhotometricInterpretation", "PixelRepresentation", "PixelSpacing", "RescaleIntercept"),
    *("RescaleSlope", "RescaleType", "Rows", "SamplesPerPixel", "SliceThickness"),
    *("WindowCenter", "WindowWidth"),
)
"""What a viewer of stacks needs beside the main attributes, and what a series has in common."""


@cache
def header() -> Dataset:
    """A real CT header, cut to its public attributes and as many private ones as are wanted."""
    data_set = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    private = [element.tag for element in data_set if element.tag.is_private]
    for tag in private[ATTRIBUTES - len(data_set) :]:
        del data_set[tag]
    return data_set


def slice_of(number: int, note: str = "none") -> bytes:
    """One slice; `note` makes it another one with the same identifiers."""
    data_set = copy(header())
    data_set.StudyInstanceUID, data_set.SeriesInstanceUID = STUDY, SERIES
    data_set.SOPInstanceUID = f"{SERIES}.{number}"
    data_set.InstanceNumber = number
    data_set.ImagePositionPatient = ["-158.135803", "-179.035797", f"{number * 1.25}"]
    data_set.SliceLocation = f"{number * 1.25}"
    data_set.StudyID = note[-16:]
    return write_dataset(data_set)


@dataclass
class Measured:
    """What one kind of request cost in one mode, in each round."""

    seconds: list[float]
    cpu: list[float]

    def ratio(self, base: Measured) -> tuple[float, float]:
        """(time, CPU) with the other as 1: medians of the ratios of rounds."""
        return (
            statistics.median(a / b for a, b in zip(self.seconds, base.seconds, strict=True)),
            statistics.median(a / b for a, b in zip(self.cpu, base.cpu, strict=True)),
        )


class Archive:
    """A server in one mode with the series in it."""

    def __init__(self, mode: str, server: RunningServer) -> None:
        self.mode = mode
        self.server = server
        self.measured: dict[str, Measured] = {}
        connection = Connection(server.url)
        for start in range(1, SLICES + 1, 100):
            connection.request(*post([slice_of(n) for n in range(start, start + 100)]))

    def cpu(self) -> float:
        """Seconds of CPU that the worker has used, with the precision of the scheduler."""
        tasks = (Path(f"/proc/{pid}/task").iterdir() for pid in self.server.workers())
        spent = (
            int((task / "schedstat").read_text().split()[0]) for each in tasks for task in each
        )
        return sum(spent) / 1e9

    def turn(self, later: int, changes: int) -> None:
        """One round: some first requests, each after a change, then many later ones."""
        # The server has closed the connection of the round before: it was idle for too long.
        self.connection = Connection(self.server.url)
        first = Measured([0.0], [0.0])
        for number in range(changes):
            self.connection.request(*post([slice_of(1, f"{time.time_ns()}-{number}")]))
            one = self._time(1, {})
            first.seconds[0] += one.seconds[0] / changes
            first.cpu[0] += one.cpu[0] / changes
        self._note("first after a change", first)
        self._note("later", self._time(later, {}))
        self._note("later, gzip", self._time(later, PACKED))

    def _time(self, count: int, headers: dict[str, str]) -> Measured:
        request = get(PATH, **headers)
        cpu, began = self.cpu(), time.perf_counter()
        for _ in range(count):
            self.connection.request(*request)
        return Measured([(time.perf_counter() - began) / count], [(self.cpu() - cpu) / count])

    def _note(self, kind: str, one: Measured) -> None:
        known = self.measured.setdefault(kind, Measured([], []))
        known.seconds += one.seconds
        known.cpu += one.cpu

    def answer(self) -> bytes:
        """The metadata themselves."""
        with urllib.request.urlopen(f"{self.server.url.rstrip('/')}{PATH}") as answer:
            text: bytes = answer.read()
            return text


def archives(stack: ExitStack) -> Iterator[Archive]:
    """A server for each mode."""
    for mode in MODES:
        options: dict[str, Any] = {"StudiesMetadata": mode, "SeriesMetadata": mode}
        options["SeriesMetadataExtrapolatedTags"] = list(EXTRAPOLATED)
        config = {"LogLevel": "warning", "OverwriteInstances": "Always", "DicomWeb": options}
        yield Archive(mode, stack.enter_context(RunningServer(config, workers=1)))


def report(found: list[Archive]) -> None:
    """Print the table: every figure with `Full` as 1, and what 1 was."""
    full = found[0]
    texts = {each.mode: each.answer() for each in found}
    sizes = {mode: (len(text), len(gzip.compress(text, 4))) for mode, text in texts.items()}
    print("| mode | attributes | bytes x | gzip x | request | time x | CPU x | CPU ms |")
    print("|---|---|---|---|---|---|---|---|")
    for each in found:
        tags = texts[each.mode].count(b'"vr"') / SLICES
        plain, packed = (a / b for a, b in zip(sizes[each.mode], sizes["Full"], strict=True))
        for kind, measured in each.measured.items():
            seconds, cpu = measured.ratio(full.measured[kind])
            print(
                f"| {each.mode} | {tags:.0f} | {plain:.2f} | {packed:.2f} | {kind} "
                f"| {seconds:.2f} | {cpu:.2f} | {statistics.median(measured.cpu) * 1000:.2f} |"
            )
    print(f"\nFull: {sizes['Full'][0]} bytes, {sizes['Full'][1]} with gzip")


def main() -> None:
    """Start a server for each mode and measure them in turns."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--later", type=int, default=200, help="later requests of a round")
    parser.add_argument("--changes", type=int, default=5, help="first requests of a round")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        found = list(archives(stack))
        for _ in range(arguments.rounds):
            for each in found:
                each.turn(arguments.later, arguments.changes)
        report(found)


if __name__ == "__main__":
    main()
