"""Names of hosts, and the URLs that are made of them."""

import pytest

from dicomweb_server.config import check
from dicomweb_server.http.hosts import is_host, is_loopback_address, is_loopback_name
from dicomweb_server.http.urls import FORWARDED_HOST, FORWARDED_PROTO, base_url
from dicomweb_server.options import CORE_OPTIONS


def config(tmp_path, **section):
    return check({"DicomWeb": section}, CORE_OPTIONS, base=tmp_path)


@pytest.mark.parametrize(
    "text", ["localhost", "a.example:8042", "127.0.0.1", "[::1]", "[2001:db8::1]:443", "a_b-c"]
)
def test_hosts(text):
    assert is_host(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a/b",
        "a@b",
        "a b",
        "a\r\nb",
        "a:b",
        "::1",
        "[::1",
        "a?b",
        "a#b",
        "a:123456",
        "x" * 300,
        "é",
    ],
)
def test_what_could_change_a_url_is_no_host(text):
    assert not is_host(text)


@pytest.mark.parametrize(
    "name", ["localhost", "LOCALHOST:1", "a.localhost", "127.1.2.3", "[::1]:80"]
)
def test_names_of_this_machine(name):
    assert is_loopback_name(name)


@pytest.mark.parametrize(
    "name", ["", "localhost.example", "192.0.2.1", "localhost@evil", "0.0.0.0"]
)
def test_names_of_others(name):
    assert not is_loopback_name(name)


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("", True),
        ("127.255.0.1", True),
        ("::1", True),
        ("[::1]", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:192.0.2.1", False),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("nonsense", False),
    ],
)
def test_addresses_of_this_machine(address, own):
    assert is_loopback_address(address) is own


@pytest.mark.parametrize(
    ("section", "environ", "url"),
    [
        ({}, {}, "http://localhost:8042/dicom-web/"),
        ({}, {"SERVER_PORT": "80"}, "http://localhost:80/dicom-web/"),
        ({}, {"HTTP_HOST": "a.example"}, "http://a.example/dicom-web/"),
        ({}, {"HTTP_HOST": "a.example/evil"}, "http://localhost:8042/dicom-web/"),
        ({}, {"HTTP_HOST": "a", "wsgi.url_scheme": "https"}, "https://a/dicom-web/"),
        ({}, {"HTTP_HOST": "a", FORWARDED_PROTO: "https"}, "https://a/dicom-web/"),
        ({}, {"HTTP_HOST": "a", FORWARDED_PROTO: "HTTPS"}, "http://a/dicom-web/"),
        ({}, {"HTTP_HOST": "a", FORWARDED_HOST: "b"}, "http://b/dicom-web/"),
        ({}, {"HTTP_HOST": "a", FORWARDED_HOST: "b c"}, "http://a/dicom-web/"),
        ({"Ssl": True}, {"HTTP_HOST": "a"}, "https://a/dicom-web/"),
        ({"Ssl": True}, {"HTTP_HOST": "a", FORWARDED_PROTO: "http"}, "http://a/dicom-web/"),
        ({"Host": "h:1"}, {"HTTP_HOST": "a", FORWARDED_HOST: "b"}, "http://h:1/dicom-web/"),
        ({"Root": "x", "PublicRoot": "y/z"}, {"HTTP_HOST": "a"}, "http://a/y/z/"),
        ({"Root": "x"}, {"HTTP_HOST": "a"}, "http://a/x/"),
        ({"Root": "/"}, {"HTTP_HOST": "a"}, "http://a/"),
    ],
    ids=str,
)
def test_base_urls(tmp_path, section, environ, url):
    assert base_url(config(tmp_path, **section), environ) == url
