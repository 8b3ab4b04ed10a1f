"""Damaged inputs, the same ones every time: `variant(kind, number)` needs nothing but its number.

`MALFORMED_FILES=DIR` damages the files below a folder too; the numbers mean other inputs then, and
the same ones for the same folder.
"""

import json
import os
import random
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

import pydicom

from dicomweb_server.testing.dicom import make_instance, multipart_body

_LARGEST = 200_000
_LARGEST_OF_FOLDER = 1_000_000
_WORDS = (
    *("studies", "series", "instances", "metadata", "bulk", "bulkdata", "pixeldata", "patients"),
    *("frames", "rendered", "..", ".", "", "%00", "%2e%2e", "%ff", "1.2.3", "7fe00010", "é", "*"),
    *("1.2\\3", "x" * 300, "0010,0010", "-1", "1,2", "%0d%0aX: y", "'; --", "{{7*7}}", "<x>"),
)
_VALUES = (
    *("", "*", "?", '""', "\\", ",", "-", "--", "20200101-", "20209999", "99999999999999999999"),
    *(
        "1e400",
        "NaN",
        "true",
        "all",
        "x" * 2000,
        "\0",
        "\r\n",
        "é",
        "山",
        "%",
        "%zz",
        "[",
        "(",
        "*" * 500,
    ),
    *("00100010", "0010,0010", "../..", "' OR 1=1", "^^^", "====", "=*=*", "1.2.3,1.2.4", "0x10"),
)
_KEYS = (
    *("PatientName", "00100020", "StudyDate", "StudyTime", "ModalitiesInStudy", "Rows", "limit"),
    *("offset", "includefield", "fuzzymatching", "orderby", "totalcount", "emptyvaluematching"),
    *(
        "00400275.00400009",
        "RequestAttributesSequence",
        "FFFFFFFF",
        "7FE00010",
        "00091001",
        "accept",
    ),
    *(
        "dicomdir",
        "nonsense",
        "",
        ".",
        "a.b.c",
        "PixelData",
        "SliceThickness",
        "charset",
        "0020000D",
    ),
)
_HEADERS = (
    ("Accept", ("*/*;q=x", ",,,", 'multipart/related; type="', "a/b;" * 200, "*", "\x7f", "q=0")),
    ("Accept", ("application/dicom; transfer-syntax=1.2.3", "application/zip;q=0", '"', "é")),
    (
        "Range",
        ("bytes=", "bytes=5-1", "bytes=-0", "bytes=99999999-", "bytes=0-0,2-3", "x=1", "bytes=a-b"),
    ),
    ("If-None-Match", ("*", '"', "W/", ",".join(['"x"'] * 500))),
    ("If-Match", ("*", '"', "W/", "é", ",".join(['"x"'] * 500))),
    ("Accept-Charset", ("*;q=0", "utf-8;q=x", '"', ",,", "é", "a " * 1500, "utf-8;" * 300)),
    ("Authorization", ("Basic", "Basic !!!", "Bearer", "Basic " + "A" * 5000, "Digest x")),
    (
        "Content-Type",
        ("", "multipart/related", "multipart/related; boundary=", "x", "application/json"),
    ),
    (
        "Content-Type",
        ('multipart/related; type="application/dicom"; boundary="' + "b" * 300 + '"',),
    ),
    ("Content-Encoding", ("gzip", "identity", "x, y")),
    ("Host", ("localhost:99999", "[::1", "a b", "localhost")),
    ("Forwarded", ("for=", 'for="[::1', "host=evil;proto=x", ";;;")),
    ("X-Forwarded-Host", ("a/b", "<x>", "localhost")),
    ("Origin", ("null", "http://", "x")),
)


def folder_files():
    """The files below the folder that `MALFORMED_FILES` names, in the order of their paths."""
    folder = os.environ.get("MALFORMED_FILES")
    return sorted(path for path in Path(folder).rglob("*") if path.is_file()) if folder else []


@lru_cache(maxsize=1)
def sources():
    """Real files that are small enough to be damaged many times."""
    paths = sorted(Path(pydicom.__file__).parent.glob("data/test_files/**/*.dcm"))
    bundled = [data for path in paths if len(data := path.read_bytes()) < _LARGEST]
    given = (path for path in folder_files() if path.stat().st_size < _LARGEST_OF_FOLDER)
    return bundled + [path.read_bytes() for path in given]


def file(number):
    """A real file that was cut, whose bytes were flipped, or that was spliced with another one."""
    chance = random.Random(number)
    files = sources()
    data = bytearray(files[number % len(files)])
    for _ in range(chance.choice((1, 1, 2, 5))):
        data = hurt(data, chance, files) or data
    return bytes(data)


def hurt(data, chance, files):
    """Cut, flipped, overwritten, spliced with another file, or with bytes more or less."""
    at = (
        chance.randrange(len(data))
        if chance.random() < 0.5
        else chance.randrange(min(len(data), 2000))
    )
    how = chance.randrange(7)
    if how == 0:
        return data[: max(at, 1)]
    if how == 1:
        data[at] ^= 1 << chance.randrange(8)
        return data
    if how == 2:
        for place in range(at, min(at + chance.randrange(1, 9), len(data))):
            data[place] = chance.choice((0, 255, chance.randrange(256)))
        return data
    if how == 3:
        other = chance.choice(files)
        start = chance.randrange(len(other))
        return data[:at] + other[start : start + chance.randrange(1, 5000)] + data[at:]
    if how == 4:
        return data[:at] + data[at + chance.randrange(1, 200) :]
    if how == 5:
        return data[:at] + data[max(at - 300, 0) :]
    return data + bytes(chance.randrange(256) for _ in range(chance.randrange(1, 40)))


def body(number):
    """(body, Content-Type, the whole files in it): a multipart body with damage around a good part."""
    chance = random.Random(number)
    good = make_instance()
    whole, content_type = multipart_body([make_instance(), make_instance()])
    damaged = bytearray(whole)
    for _ in range(chance.choice((1, 1, 3))):
        damaged = hurt(damaged, chance, [whole]) or damaged
    boundary = content_type.rpartition("boundary=")[2].strip('"').encode()
    head = b"--" + boundary + b"\r\nContent-Type: application/dicom\r\n\r\n"
    return head + good + b"\r\n" + head + bytes(damaged), content_type, good


def request(number):
    """(method, path with query, headers) of a request that no client should send."""
    chance = random.Random(number)
    path = "/dicom-web/" + "/".join(chance.choice(_WORDS) for _ in range(chance.randrange(7)))
    if chance.random() < 0.6:
        level = chance.choice(("studies", "series", "instances", "patients"))
        pairs = (
            f"{chance.choice(_KEYS)}={_encoded(chance)}" for _ in range(chance.randrange(1, 6))
        )
        path = f"/dicom-web/{level}?" + "&".join(pairs)
    headers = {
        name: chance.choice(values) for name, values in chance.sample(_HEADERS, chance.randrange(4))
    }
    return (
        chance.choice(("GET", "GET", "GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT")),
        path,
        headers,
    )


def _encoded(chance):
    value = chance.choice(_VALUES)
    return (
        quote(value)
        if chance.random() < 0.7
        else value.replace("&", "")
        .replace("#", "")
        .replace("\r\n", "")
        .replace("\0", "")
        .replace(" ", "+")
    )


_NODES = (
    None,
    True,
    -1,
    1e308,
    "",
    "x",
    [],
    {},
    "\0",
    "1.2.3",
    ["x", None],
    {"vr": "PN", "Value": 7},
)


def document(number):
    """(body, Content-Type): JSON or XML metadata to store that is damaged."""
    chance = random.Random(number)
    dataset = {
        "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.7"]},
        "00080018": {"vr": "UI", "Value": [f"1.2.{number}"]},
        "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
        "0020000E": {"vr": "UI", "Value": ["1.2.4"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "X"}]},
        "00400275": {"vr": "SQ", "Value": [{"00400009": {"vr": "SH", "Value": ["1"]}}]},
        "7FE00010": {"vr": "OW", "BulkDataURI": "http://localhost/bulk/1"},
    }
    for _ in range(chance.randrange(1, 4)):
        tag = chance.choice(sorted(dataset))
        how = chance.randrange(4)
        if how == 0 or not isinstance(dataset[tag], dict) or not dataset[tag]:
            dataset[tag] = chance.choice(_NODES)
        elif how == 1:
            dataset[tag][chance.choice(("vr", "Value", "InlineBinary", "BulkDataURI"))] = (
                chance.choice(_NODES)
            )
        elif how == 2:
            dataset[chance.choice(("", "x", "0010001", "GGGGEEEE", "FFFEE000", "00020010"))] = (
                dataset[tag]
            )
        else:
            dataset[tag].pop(chance.choice(sorted(dataset[tag])))
    text = bytearray(json.dumps([dataset]).encode())
    kind = "application/dicom+json"
    if chance.random() < 0.4:
        kind = "application/dicom+xml"
        text = bytearray(
            b'<?xml version="1.0"?><NativeDicomModel><DicomAttribute tag="00080018" vr="UI">'
            b'<Value number="1">1.2.3</Value></DicomAttribute></NativeDicomModel>'
        )
    if chance.random() < 0.5:
        text = hurt(text, chance, [bytes(text)]) or text
    content_type = f'multipart/related; type="{kind}"; boundary=BB'
    return b"--BB\r\nContent-Type: " + kind.encode() + b"\r\n\r\n" + bytes(
        text
    ) + b"\r\n--BB--", content_type
