"""TLS: the same server, encrypted; and certificates that cannot be used."""

import json
import os
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import trustme

from dicomweb_server.config import ConfigError, check
from dicomweb_server.launch import settings_for
from dicomweb_server.options import CORE_OPTIONS
from dicomweb_server.testing.dicom import (
    large_instance,
    make_instance,
    multipart_body,
    path_of,
    split_multipart,
)
from dicomweb_server.testing.server import RunningServer

ROOT = Path(__file__).parents[2]
RAW = {"Accept": "application/dicom; transfer-syntax=*"}


class Site:
    """An authority, a server's certificate by it, and what a client must know."""

    def __init__(self, folder):
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.authority = trustme.CA()
        self.pem = folder / "server.pem"
        self.renew()
        self.trusted = folder / "trusted.pem"
        self.authority.cert_pem.write_to_path(str(self.trusted))

    def renew(self):
        issued = self.authority.issue_cert("127.0.0.1", "localhost")
        issued.private_key_and_cert_chain_pem.write_to_path(str(self.pem))
        self.issued = issued

    def client(self, certificate=False):
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        if certificate:
            self.authority.issue_cert("client@example.org").configure_cert(context)
        return context

    def config(self, **more):
        return {"SslEnabled": True, "SslCertificate": str(self.pem)} | more


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return Site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def secure(site, tmp_path_factory):
    config = site.config(MaximumRequestBodySizeMB=40)
    folder = tmp_path_factory.mktemp("secure")
    with RunningServer(config, folder=folder, workers=1, tls=site.client()) as running:
        yield running


@pytest.fixture
def http(site):
    with httpx.Client(verify=site.client(), timeout=60) as client:
        yield client


def connected(site, port, **options):
    raw = socket.create_connection(("127.0.0.1", port), timeout=30)
    return site.client().wrap_socket(raw, server_hostname="127.0.0.1", **options)


def store(client, server, *files):
    body, content_type = multipart_body(files)
    return client.post(f"{server.url}studies", content=body, headers={"Content-Type": content_type})


def test_links_are_https(secure, http):
    data = make_instance()
    answer = store(http, secure, data)
    assert answer.status_code == 200
    assert answer.json()["00081190"]["Value"][0].startswith(f"https://127.0.0.1:{secure.port}/")
    assert f"listens on https://127.0.0.1:{secure.port}" in secure.log
    found = http.get(f"{secure.url}{path_of(data)}/metadata")
    assert found.status_code == 200


def test_files_of_every_size_come_back(secure, http):
    size, pieces = large_instance(30 << 20)
    large = b"".join(pieces)
    small = make_instance(pixels=bytes(1000))
    assert len(large) == size
    assert store(http, secure, large, small).status_code == 200
    for data in (small, large):
        assert http.get(f"{secure.url}{path_of(data)}", headers=RAW).content == data
        study = path_of(data).partition("/series/")[0]
        answer = http.get(
            f"{secure.url}{study}",
            headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'},
        )
        ((_, part),) = split_multipart(answer.content, answer.headers["Content-Type"])
        assert part == data
    part = http.get(f"{secure.url}{path_of(large)}", headers=RAW | {"Range": "bytes=9-20000009"})
    assert part.content == large[9:20000010]


GET = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def read_answers(connection, count):
    data = b""
    while data.count(b'"ok"') < count:
        more = connection.recv(65536)
        assert more, data
        data += more
    return data


def test_a_connection_serves_many_requests(site, secure):
    with connected(site, secure.port) as connection:
        for _ in range(20):
            connection.sendall(GET)
            read_answers(connection, 1)


def test_requests_that_come_in_one_record_are_all_answered(site, secure):
    # More than gunicorn reads at once, so that some of it is decrypted and waits.
    padded = GET.replace(b"\r\n\r\n", b"\r\nX-Padding: " + b"x" * 5000 + b"\r\n\r\n")
    with connected(site, secure.port) as connection:
        for _ in range(3):
            connection.sendall(padded * 3)
            read_answers(connection, 3)


def test_the_end_of_a_connection_is_an_end_in_tls_too(site, secure):
    with connected(site, secure.port, suppress_ragged_eofs=False) as connection:
        connection.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        data = b""
        while more := connection.recv(65536):  # raises for an end without farewell
            data += more
        assert b'"ok"' in data


def test_a_refusal_is_read_by_who_is_still_sending(site, secure, http):
    answer = http.post(
        f"{secure.url}studies",
        content=bytes(41 << 20),
        headers={"Content-Type": "application/dicom"},
    )
    assert answer.status_code == 413
    with connected(site, secure.port) as connection:
        head = (
            b"POST /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/dicom\r\n"
            b"Content-Length: 9000000\r\n\r\n"
        )
        connection.sendall(head + bytes(100_000))
        connection.sendall(bytes(100_000))
        assert connection.recv(65536).startswith(b"HTTP/1.1 404")


def test_what_is_no_tls_harms_nobody(secure, http):
    for data in (GET, b"\x16\x03\x01\x00\x05hello", b"\0" * 100):
        with socket.create_connection(("127.0.0.1", secure.port), timeout=30) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
    assert http.get(f"{secure.origin}/health/live").status_code == 200
    assert "Traceback" not in secure.log


def test_broken_versions_are_not_spoken(site, secure):
    context = site.client()
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(OSError), socket.create_connection(("127.0.0.1", secure.port)) as raw:
        context.wrap_socket(raw, server_hostname="127.0.0.1")


def test_a_renewed_certificate_is_taken_without_a_restart(tmp_path):
    site = Site(tmp_path / "site")
    with RunningServer(
        site.config(), folder=tmp_path / "run", workers=1, tls=site.client()
    ) as running:

        def shown():
            with connected(site, running.port) as connection:
                return connection.getpeercert(binary_form=True)

        first = shown()
        site.pem.write_text("nothing")
        os.utime(site.pem, (1, 1))
        assert shown() == first
        assert "stays the one" in running.log
        site.renew()
        os.utime(site.pem, (2, 2))
        assert shown() != first


@pytest.mark.parametrize("minimum", [4, 5])
def test_clients_must_show_a_certificate(tmp_path, minimum):
    site, other = Site(tmp_path / "site"), Site(tmp_path / "other")
    config = site.config(
        SslVerifyPeers=True,
        SslTrustedClientCertificates=str(site.trusted),
        SslMinimumProtocolVersion=minimum,
        SslCiphersAccepted=["ECDHE+AESGCM"],
    )
    known = site.client(certificate=True)
    with RunningServer(config, folder=tmp_path / "run", workers=1, tls=known) as running:
        url = f"{running.url}studies"
        answer = httpx.get(url, verify=known)
        assert answer.status_code == 200
        stranger = site.client()
        other.authority.issue_cert("client@example.org").configure_cert(stranger)
        for context in (site.client(), stranger):
            with pytest.raises(httpx.TransportError):
                httpx.get(url, verify=context)
        older = site.client(certificate=True)
        older.maximum_version = ssl.TLSVersion.TLSv1_2
        if minimum == 5:
            with pytest.raises(httpx.TransportError):
                httpx.get(url, verify=older)
        else:
            assert httpx.get(url, verify=older).status_code == 200


def test_gunicorn_alone_speaks_it_too(tmp_path):
    site = Site(tmp_path / "site")
    planned = RunningServer(site.config(), folder=tmp_path, workers=1)
    planned.config_path.write_text(json.dumps(planned.config))
    command = ["gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), "--chdir", str(ROOT), "wsgi:app"]
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        env=os.environ | {"DICOMWEB_SERVER_CONFIG": str(planned.config_path)},
    )
    try:
        end = time.monotonic() + 60
        while True:
            try:
                answer = httpx.get(f"{planned.origin}/health/ready", verify=site.client())
                break
            except httpx.TransportError:
                assert time.monotonic() < end
                time.sleep(0.1)
        assert answer.status_code == 200
    finally:
        process.terminate()
        process.wait(30)


# --- what cannot be used -------------------------------------------------------------------


@pytest.fixture
def files(tmp_path):
    site, other = Site(tmp_path / "site"), Site(tmp_path / "other")
    key = site.issued.private_key_pem.bytes()
    chain = b"".join(blob.bytes() for blob in site.issued.cert_chain_pems)
    made = {
        "good.pem": key + chain,
        "key.pem": key,
        "certificate.pem": chain,
        "other.pem": other.issued.private_key_pem.bytes() + chain,
        "empty.pem": b"",
        "text.pem": b"hello",
    }
    for name, data in made.items():
        (tmp_path / name).write_bytes(data)
    encrypted = ["openssl", "rsa", "-aes128", "-passout", "pass:secret"]
    plain = ["openssl", "pkcs8", "-topk8", "-passout", "pass:secret"]
    for command in (plain, encrypted):
        done = subprocess.run(command, input=key, capture_output=True, check=False)
        if done.returncode == 0:
            (tmp_path / "encrypted.pem").write_bytes(done.stdout + chain)
            break
    return tmp_path


WRONG = [
    ({"SslCertificate": "missing.pem"}, r"SslCertificate: .*missing.pem cannot be read"),
    ({"SslCertificate": "."}, r"SslCertificate: "),
    ({"SslCertificate": "key.pem"}, r"key.pem must hold a certificate and its private key"),
    ({"SslCertificate": "certificate.pem"}, r"certificate.pem must hold"),
    ({"SslCertificate": "other.pem"}, r"other.pem.*the private key is of another certificate"),
    ({"SslCertificate": "empty.pem"}, r"empty.pem must hold"),
    ({"SslCertificate": "text.pem"}, r"text.pem must hold"),
    ({"SslCertificate": "encrypted.pem"}, r"encrypted.pem: its private key is encrypted"),
    ({}, r"SslCertificate: .*certificate.pem"),
    ({"SslCertificate": "good.pem", "SslVerifyPeers": True}, r"SslTrusted.*trustedCert"),
    (
        {
            "SslCertificate": "good.pem",
            "SslVerifyPeers": True,
            "SslTrustedClientCertificates": "text.pem",
        },
        r"SslTrustedClientCertificates: .*text.pem must hold certificates of authorities",
    ),
    ({"SslCertificate": "good.pem", "SslCiphersAccepted": "NONE"}, "SslCiphersAccepted: .*NONE"),
]


@pytest.mark.parametrize(("config", "words"), WRONG, ids=str)
def test_what_cannot_be_used_stops_the_start(files, config, words):
    checked = check({"SslEnabled": True} | config, CORE_OPTIONS, base=files)
    with pytest.raises(ConfigError, match=words):
        settings_for(checked)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"SslMinimumProtocolVersion": 6}, "at most 5"),
        ({"SslCiphersAccepted": 3}, "list of names"),
        ({"SslCertificate": 3}, "string"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(files, config, words):
    with pytest.raises(ConfigError, match=words):
        check({"SslEnabled": True} | config, CORE_OPTIONS, base=files)


def test_old_numbers_are_not_older_versions(files, caplog):
    for number in range(4):
        config = {"SslCertificate": "good.pem", "SslMinimumProtocolVersion": number}
        checked = check({"SslEnabled": True} | config, CORE_OPTIONS, base=files)
        assert settings_for(checked)["ssl_context"](None, None)
        assert "TLS 1.2" in caplog.text


def test_without_it_nothing_is_read(files):
    checked = check({"SslCertificate": "missing.pem"}, CORE_OPTIONS, base=files)
    assert "ssl_context" not in settings_for(checked)


@pytest.mark.parametrize(
    "command",
    [
        ["dicomweb_server", "serve"],
        ["dicomweb_server", "config", "check"],
        ["gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), "--chdir", str(ROOT), "wsgi:app"],
    ],
    ids=str,
)
def test_the_sentence_is_all_that_is_seen(files, command):
    (files / "config.json").write_text('{"SslEnabled": true, "SslCertificate": "key.pem"}')
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=files,
        env=os.environ | {"DICOMWEB_SERVER_CONFIG": str(files / "config.json")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "key.pem must hold a certificate" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
