"""Whatever is sent: no 500, no hang, no lost good part, no growth of memory.

A bounded run by default; `MALFORMED=20` runs twenty times as many (5000 files, 2000 bodies, 2000
requests and 2000 documents), against a server with two workers. `MALFORMED_FILES=DIR` takes the
files below a folder as further ones to damage, and stores and reads each as it is.
"""

import os
import socket
import time
from urllib.parse import urlsplit

import httpx
import pytest

from dicomweb_server.testing.dicom import path_of
from dicomweb_server.testing.server import RunningServer
from tests.malformed import damage

TIMES = int(os.environ.get("MALFORMED", "1"))
LONGEST_SECONDS = 10
GROWTH_BYTES = 150 << 20

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def server():
    config = {"OverwriteInstances": "Always", "LogLevel": "error", "HttpRequestTimeout": 5}
    # A list of all that many bodies have left behind takes its time, and is no hang.
    limits = {"LimitFindResults": 1000, "LimitFindInstances": 1000}
    with RunningServer(config | limits) as running:
        yield running


def call(server, method, path, headers, body=b""):
    """The status of one raw request; the bytes of the path and headers go out as they are."""
    host = urlsplit(server.url)
    named = {"Host": host.netloc, "Connection": "close"} | headers
    if body:
        named["Content-Length"] = str(len(body))
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items())]
    started = time.monotonic()
    with socket.create_connection((host.hostname, host.port), timeout=LONGEST_SECONDS) as wire:
        wire.sendall("\r\n".join(lines).encode("utf-8") + b"\r\n\r\n" + body)
        answer = b""
        while piece := wire.recv(1 << 16):
            answer += piece
    assert time.monotonic() - started < LONGEST_SECONDS
    assert answer.startswith(b"HTTP/1.1 "), (method, path, headers, answer[:100])
    return int(answer.split()[1]), answer


def post(server, body, content_type):
    return call(server, "POST", "/dicom-web/studies", {"Content-Type": content_type}, body)


def check(status, number, *details):
    assert status < 500 or status in (501, 505), (number, status, *details)


def read(server, resource):
    """Ask for everything that there is of a study, series or instance."""
    for path, accept in (
        (resource, "multipart/related; type=application/dicom; transfer-syntax=*"),
        (resource, "multipart/related; type=application/dicom"),
        (f"{resource}/metadata", "application/dicom+json"),
        (f"{resource}/metadata", 'multipart/related; type="application/dicom+xml"'),
        (f"{resource}/bulkdata", "*/*"),
        (f"{resource}/pixeldata", "*/*"),
        (resource, "application/zip"),
    ):
        status, answer = call(server, "GET", f"/dicom-web/{path}", {"Accept": accept})
        check(status, path, accept, answer[-300:])


def memory(server):
    """Bytes that the server's workers have in memory."""
    return sum(server.resident_bytes().values())


def test_the_files_of_a_folder_as_they_are(server):
    """Nothing is asked of them but that they are taken or refused, and read if they were taken."""
    for path in damage.folder_files():
        data = path.read_bytes()
        status, answer = post(server, data, "application/dicom")
        check(status, path, answer[-500:])
        if status in (200, 202):
            resource = path_of(data)
            stored = {"Accept": "application/dicom; transfer-syntax=*"}
            found, kept = call(server, "GET", f"/dicom-web/{resource}", stored)
            assert found == 200, (path, kept[-500:])
            assert kept.endswith(data), path
            read(server, resource)


def test_damaged_files(server):
    for number in range(50):
        post(server, damage.file(number), "application/dicom")
    before = memory(server)
    for number in range(250 * TIMES):
        status, answer = post(server, damage.file(number), "application/dicom")
        check(status, number, answer[-500:])
    assert memory(server) - before < GROWTH_BYTES


def test_what_was_taken_of_them_can_be_read(server):
    for level in ("studies", "series", "instances"):
        status, _ = call(server, "GET", f"/dicom-web/{level}?includefield=all", {})
        check(status, level)
    for study in httpx.get(f"{server.url}studies?limit={40 * TIMES}").json():
        read(server, f"studies/{study['0020000D']['Value'][0]}")


def test_damaged_bodies_keep_their_good_part(server):
    for number in range(100 * TIMES):
        body, content_type, good = damage.body(number)
        status, answer = post(server, body, content_type)
        check(status, number, answer[-500:])
        found, kept = call(
            server,
            "GET",
            f"/dicom-web/{path_of(good)}",
            {"Accept": "application/dicom; transfer-syntax=*"},
        )
        assert found == 200, (number, status, answer)
        assert kept.endswith(good)


def test_requests_that_nobody_should_send(server):
    for number in range(100 * TIMES):
        method, path, headers = damage.request(number)
        status, answer = call(server, method, path.replace(" ", "%20"), headers)
        check(status, number, method, path, headers, answer[-500:])


def test_damaged_documents(server):
    for number in range(100 * TIMES):
        body, content_type = damage.document(number)
        status, answer = post(server, body, content_type)
        check(status, number, body, answer[-500:])


def test_the_archive_is_sound_afterwards(server):
    done = server.command("check")
    assert done.returncode == 0, done.stdout
