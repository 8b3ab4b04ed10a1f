"""How answers reach the client: whole, in order, and without waiting between head and body."""

import re
import socket

import httpx
import pytest

from dicomweb_server.testing.dicom import make_instance, uids_of
from tests.e2e.test_server import store


def asked(server, *requests):
    """A connection on which requests were sent one behind the other, without waiting."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    host = f"Host: 127.0.0.1:{server.port}\r\n\r\n"
    connection.sendall("".join(f"{line}\r\n{host}" for line in requests).encode())
    return connection


def everything(connection):
    data = b""
    while piece := connection.recv(1 << 20):
        data += piece
    return data


def test_head_and_body_of_a_small_answer_come_at_once(shared):
    with asked(shared, "GET /health/live HTTP/1.1") as connection:
        head, _, body = connection.recv(1 << 16).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\nServer: gunicorn\r\nDate: ")
    assert int(head.lower().partition(b"content-length: ")[2].split()[0]) == len(body) > 0


def test_requests_that_follow_each_other_are_answered_in_order(shared):
    lines = (
        "GET /health/live HTTP/1.1",
        "HEAD /health/live HTTP/1.1",
        "GET /nothing HTTP/1.1",
        "OPTIONS /dicom-web/studies HTTP/1.1",
        "GET /health/live HTTP/1.1\r\nConnection: close",
    )
    with asked(shared, *lines) as connection:
        data = everything(connection)
    statuses = re.findall(rb"HTTP/1\.1 (\d+)", data)
    assert statuses == [b"200", b"200", b"404", b"200", b"200"]
    assert data.count(b"Connection: close") == 1


@pytest.mark.parametrize("size", [1 << 10, 1 << 20])
def test_what_the_kernel_sends_stands_where_it_belongs(shared, size):
    """A file between the head of a part and the next one; also alone, and as a range."""
    data = make_instance(pixels=bytes(range(256)) * (size // 256))
    store(shared, data)
    study, series, instance = uids_of(data)
    path = f"{shared.url}studies/{study}/series/{series}/instances/{instance}"
    accept = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
    with httpx.Client(headers=accept) as client:
        for _ in range(3):
            whole = client.get(path)
            assert int(whole.headers["Content-Length"]) == len(whole.content)
            assert data in whole.content
            boundary = whole.headers["Content-Type"].partition("boundary=")[2].encode()
            assert whole.content.startswith(b"--" + boundary)
            assert whole.content.endswith(b"--" + boundary + b"--")
            assert client.head(path).content == b""
            alone = client.get(path, headers={"Accept": "application/dicom; transfer-syntax=*"})
            assert alone.content == data


def test_stored_frames_go_out_by_the_kernel_too(shared):
    size, frames = 128 * 128, 5
    pixels = b"".join(bytes([number]) * size for number in range(frames))
    data = make_instance(pixels=pixels, Rows=128, Columns=128, NumberOfFrames=frames)
    store(shared, data)
    study, series, instance = uids_of(data)
    path = f"{shared.url}studies/{study}/series/{series}/instances/{instance}/frames"
    octets = {"Accept": "application/octet-stream"}
    with httpx.Client() as client:
        for number in (1, 3, 5):
            expected = pixels[(number - 1) * size : number * size]
            assert client.get(f"{path}/{number}", headers=octets).content == expected
            part = client.get(f"{path}/{number}", headers=octets | {"Range": "bytes=10-19"})
            assert (part.status_code, part.content) == (206, expected[10:20])
        several = client.get(f"{path}/5,1,5")
        assert several.content.count(pixels[-size:]) == 2
        assert int(several.headers["Content-Length"]) == len(several.content)
