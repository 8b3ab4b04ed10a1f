"""multipart/related: what is written is read, and damage is told and costs no whole part before it."""

import time
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dicomweb_server.ps318.errors import BadRequest, UnsupportedMediaType
from dicomweb_server.ps318.multipart import (
    PART_END,
    End,
    Garbage,
    MultipartDecoder,
    MultipartEncoder,
    PartData,
    PartEnd,
    PartStart,
    boundary_of,
    root_type_of,
)

B = b"xyz"


def decode(body, boundary=B, size=None, **limits):
    """All events of a body, fed in pieces of `size` bytes; adjoining PartData are joined."""
    decoder = MultipartDecoder(boundary, **limits)
    events = []
    for at in range(0, len(body), size or len(body) or 1):
        events += decoder.feed(body[at : at + (size or len(body))])
    return join(events + decoder.close())


def join(events):
    joined = []
    for event in events:
        if isinstance(event, PartData) and joined and isinstance(joined[-1], PartData):
            joined[-1] = PartData(joined[-1].data + bytes(event.data))
        else:
            joined.append(PartData(bytes(event.data)) if isinstance(event, PartData) else event)
    return joined


def parts_of(events):
    """(headers, content, complete) of every part."""
    parts = []
    for event in events:
        if isinstance(event, PartStart):
            parts.append([dict(event.headers), b"", None])
        elif isinstance(event, PartData):
            parts[-1][1] += event.data
        elif isinstance(event, PartEnd):
            parts[-1][2] = event.complete
    return [tuple(part) for part in parts]


def contents(events):
    return [(content, complete) for _, content, complete in parts_of(events)]


def kinds(events, kind):
    return [event for event in events if isinstance(event, kind)]


GOOD = [
    ("plain", b"--xyz\r\nA: b\r\n\r\none\r\n--xyz\r\n\r\ntwo\r\n--xyz--", [b"one", b"two"]),
    ("line break at the end", b"--xyz\r\n\r\none\r\n--xyz--\r\n", [b"one"]),
    ("no part", b"--xyz--", []),
    ("no part, line break", b"\r\n--xyz--\r\n", []),
    ("LF only", b"--xyz\nA: b\n\none\n--xyz\n\ntwo\n--xyz--\n", [b"one", b"two"]),
    ("LF only, content ends with CR", b"--xyz\n\none\r\n--xyz--\n", [b"one\r"]),
    ("spaces after the boundary", b"--xyz  \t\r\n\r\none\r\n--xyz \r\n\r\ntwo\r\n--xyz--  ", [b"one", b"two"]),
    ("line break before the first boundary", b"\r\n--xyz\r\n\r\none\r\n--xyz--", [b"one"]),
    ("empty content", b"--xyz\r\n\r\n\r\n--xyz--", [b""]),
    ("empty content without line break", b"--xyz\r\nA: b\r\n\r\n--xyz--", [b""]),
    ("empty lines in the content", b"--xyz\r\n\r\n\r\n\r\na\r\n\r\n\r\n--xyz--", [b"\r\n\r\na\r\n\r\n"]),
    ("longer boundary in the content", b"--xyz\r\n\r\n\r\n--xyzz\r\n--xyz-\r\n--xyz--", [b"\r\n--xyzz\r\n--xyz-"]),
    ("dashes in the content", b"--xyz\r\n\r\n--\r\n--x\r\n----xyz\r\n--xyz--", [b"--\r\n--x\r\n----xyz"]),
    ("boundary in a declared content", b"--xyz\r\nContent-Length: 13\r\n\r\n\r\n--xyz\r\n\r\nab\r\n--xyz--", [b"\r\n--xyz\r\n\r\nab"]),
    ("declared length counts the line break", b"--xyz\r\nContent-Length: 5\r\n\r\none\r\n--xyz--", [b"one\r\n"]),
    ("declared as empty", b"--xyz\r\nContent-Length: 0\r\n\r\n\r\n--xyz--", [b""]),
    ("senseless lengths are ignored", b"--xyz\r\nContent-Length: -1\r\n\r\none\r\n--xyz\r\ncontent-length: 3 bytes\r\n\r\ntwo\r\n--xyz--", [b"one", b"two"]),
]  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 3, 7, None])
@pytest.mark.parametrize(("body", "expected"), [pytest.param(*g[1:], id=g[0]) for g in GOOD])
def test_bodies_that_are_whole(body, expected, size):
    events = decode(body, size=size)
    assert contents(events) == [(content, True) for content in expected]
    assert events[-1] == End(True)
    assert not kinds(events, Garbage)


def test_headers():
    body = b"--xyz\r\nContent-Type: a/b;\r\n  c=d\r\nX-Two:  2 \r\nx-two: 3\r\nrubbish\r\n\r\n\r\n--xyz--"
    start = decode(body)[0]
    assert start.index == 0
    assert dict(start.headers) == {"content-type": "a/b; c=d", "x-two": "2"}
    assert start.problem == "This header line has no name and colon: 'rubbish'."


def test_preamble_and_epilogue_are_told():
    events = decode(b"Hello\r\n--xyz\r\n\r\none\r\n--xyz--\r\nbye", size=2)
    assert kinds(events, Garbage) == [
        Garbage("preamble", 5, b"Hello", False),
        Garbage("epilogue", 5, b"\r\nbye", False),
    ]
    assert events[-1] == End(True)


@pytest.mark.parametrize(
    "lost", [b"--xyy\r\nContent-Type: application/dicom\r\n\r\none", b"abcDICMabc"]
)
@pytest.mark.parametrize("size", [1, None])
def test_a_lost_part_shows_in_preamble_and_epilogue(lost, size):
    part = b"--xyz\r\n\r\ntwo\r\n--xyz--"
    for body, where in ((lost + b"\r\n" + part, "preamble"), (part + lost, "epilogue")):
        (garbage,) = kinds(decode(body, size=size), Garbage)
        assert (garbage.where, garbage.looks_like_a_part) == (where, True)


# (name, body, contents with completeness, words of the problem of the failed part, End complete)
DAMAGED = [
    ("nothing at all", b"", [], None, False),
    ("no boundary anywhere", b"GET / HTTP", [], None, False),
    ("final boundary missing", b"--xyz\r\n\r\none\r\n--xyz\r\n\r\ntwo", [(b"one", True), (b"two", False)], "ended before", False),
    ("final dashes missing", b"--xyz\r\n\r\none\r\n--xyz", [(b"one", True)], None, False),
    ("final dash missing", b"--xyz\r\n\r\none\r\n--xyz-", [(b"one", True)], None, False),
    ("ends after a boundary line", b"--xyz\r\n\r\none\r\n--xyz\r\n", [(b"one", True)], None, False),
    ("cut boundary", b"--xyz\r\n\r\none\r\n--xy", [(b"one\r\n--xy", False)], "ended before", False),
    ("cut in the headers", b"--xyz\r\n\r\none\r\n--xyz\r\nConte", [(b"one", True), (b"", False)], "inside its headers", False),
    ("no empty line after the headers", b"--xyz\r\nA: b\r\n--xyz\r\n\r\ntwo\r\n--xyz--", [(b"", False), (b"two", True)], "without an empty line", True),
    ("cut in a declared content", b"--xyz\r\nContent-Length: 10\r\n\r\none", [(b"one", False)], "says 10 bytes, but the body ended after 3", False),
    ("cut after a declared content", b"--xyz\r\nContent-Length: 3\r\n\r\none", [(b"one", False)], "where a delimiter should be", False),
    ("cut right after the boundary of a declared content", b"--xyz\r\nContent-Length: 3\r\n\r\none\r\n--xyz", [(b"one", True)], None, False),
    ("declared too short", b"--xyz\r\nContent-Length: 2\r\n\r\none\r\n--xyz\r\n\r\ntwo\r\n--xyz--", [(b"on", False), (b"two", True)], "says 2 bytes, but no delimiter follows them", True),
    ("declared too long", b"--xyz\r\nContent-Length: 9\r\n\r\none\r\n--xyz\r\n\r\ntwo\r\n--xyz\r\n\r\n3\r\n--xyz--", [(b"one\r\n--xy", False), (b"two", None), (b"3", True)], "no delimiter", True),
]  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 3, 7, None])
@pytest.mark.parametrize(
    ("body", "expected", "words", "complete"), [pytest.param(*d[1:], id=d[0]) for d in DAMAGED]
)
def test_damage_is_told(body, expected, words, complete, size):
    events = decode(body, size=size)
    got = contents(events)
    if words == "no delimiter":  # what is swallowed by a wrong length is lost, and told
        expected = [expected[0], expected[2]]
    assert got == expected
    problems = [end.problem for end in kinds(events, PartEnd) if not end.complete]
    assert len(problems) == sum(not whole for _, whole in expected)
    assert all(words in problem and problem.endswith(".") for problem in problems)
    assert events[-1].complete is complete
    assert (events[-1].problem is None) is complete


def test_garbage_between_parts():
    body = b"--xyz\r\nContent-Length: 2\r\n\r\noneDICM\r\n--xyz\r\n\r\ntwo\r\n--xyz--"
    assert Garbage("between parts", 5, b"eDICM", True) in decode(body)


def test_limit_of_headers():
    body = b"--xyz\r\nA: " + b"b" * 200 + b"\r\n\r\none\r\n--xyz\r\nA: b\r\n\r\ntwo\r\n--xyz--"
    for size in (1, 50, None):
        events = decode(body, size=size, max_header_bytes=100)
        assert contents(events) == [(b"", False), (b"two", True)]
        assert "longer than 100 bytes" in kinds(events, PartEnd)[0].problem


def test_limit_of_parts():
    body = b"--xyz\r\n\r\none\r\n--xyz\r\n\r\ntwo\r\n--xyz--"
    assert decode(body, max_parts=2)[-1] == End(True)
    events = decode(body, max_parts=1)
    assert contents(events) == [(b"one", True)]
    assert "more than 1 parts" in events[-1].problem


def test_one_end_and_no_feeding_after_it():
    decoder = MultipartDecoder(B)
    decoder.feed(bytearray(b"--xyz"))
    assert decoder.close()[-1].complete is False
    assert decoder.close() == []
    with pytest.raises(RuntimeError):
        decoder.feed(b"x")
    with pytest.raises(ValueError, match="empty"):
        MultipartDecoder(b"")


# Encoder


def encode(parts, encoder, declare=True):
    body = b""
    for content_type, content in parts:
        length = len(content) if declare else None
        body += encoder.part_header(content_type, length) + content + PART_END
    return body + encoder.closing()


def test_message_looks_as_clients_expect():
    encoder = MultipartEncoder("bound")
    assert encoder.content_type("application/dicom") == (
        'multipart/related; type="application/dicom"; boundary=bound'
    )
    header = encoder.part_header("application/dicom", 3, content_location="http://h/x")
    assert header == (
        b"--bound\r\nContent-Location: http://h/x\r\nContent-Type: application/dicom\r\n"
        b"Content-Length: 3\r\nMIME-Version: 1.0\r\n\r\n"
    )
    body = header + b"abc" + PART_END + encoder.closing()
    assert encoder.content_length([(header, 3)]) == len(body)
    assert encoder.content_length([]) == len(encoder.closing())


def test_boundary_is_random_and_its_own():
    one, two = MultipartEncoder(), MultipartEncoder()
    assert one.boundary != two.boundary
    content_type = one.content_type("image/jls", [("transfer-syntax", "1.2")])
    assert boundary_of(content_type) == one.boundary.encode()
    assert root_type_of(content_type).essence == "image/jls"


@pytest.mark.parametrize("boundary", ["", "a" * 71, "a b", 'a"b', "a;b", "a\r\nb", "é"])
def test_boundaries_that_cannot_be_written(boundary):
    with pytest.raises(ValueError, match="no boundary"):
        MultipartEncoder(boundary)


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\rb", "a\0b"])
def test_no_header_is_smuggled(value):
    with pytest.raises(ValueError, match="line break"):
        MultipartEncoder().part_header("a/b", content_location=value)
    with pytest.raises(ValueError, match="line break"):
        MultipartEncoder().part_header(value)


# Content-Type of a message

CONTENT_TYPES = [
    ('multipart/related; type="application/dicom"; boundary=abc', b"abc"),
    ('Multipart/Related;type=application/dicom;boundary="a b c"', b"a b c"),
    ("multipart/related; boundary=AbC; type=application/dicom; transfer-syntax=1.2", b"AbC"),
    ("multipart/related; boundary=" + "a" * 200, b"a" * 200),
    ("multipart/related; BOUNDARY=a=b", b"a=b"),
]


@pytest.mark.parametrize(("content_type", "boundary"), CONTENT_TYPES)
def test_boundary_of(content_type, boundary):
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize("text", [None, "", "application/dicom", "multipart/form-data; boundary=x"])
def test_other_content_types_are_415(text):
    with pytest.raises(UnsupportedMediaType, match="multipart/related"):
        boundary_of(text)


@pytest.mark.parametrize(
    "rest", ["", "; boundary=", "; boundary=" + "a" * 201, '; boundary="a\nb"', "; boundary=☃"]
)
def test_a_boundary_that_cannot_be_is_400(rest):
    with pytest.raises(BadRequest, match="boundary"):
        boundary_of("multipart/related; type=application/dicom" + rest)


def test_root_type():
    assert root_type_of("multipart/related; boundary=x") is None
    assert (
        root_type_of("multipart/related; type=Application/DICOM+XML").essence
        == "application/dicom+xml"
    )
    with pytest.raises(BadRequest):
        root_type_of("multipart/related; type=rubbish")


# Properties

# headers up to the limit of feed_cut; a delimiter line with its padding is shorter
LONGEST_BUFFER = 300 + 4

scraps = st.sampled_from(
    [b"\r\n", b"\r", b"\n", b"-", b"--", b"xy", b"--xy", b"xyz", b" ", b"a: b", b"\0DICM"]
)
content = st.one_of(st.lists(scraps, max_size=12).map(b"".join), st.binary(max_size=40))
part_lists = st.lists(
    st.tuples(st.sampled_from(["application/dicom", "a/b; c=d"]), content), max_size=5
)
cuts = st.lists(st.integers(0, 400), max_size=12)


def feed_cut(body, positions, boundary=B):
    """Events when the body arrives cut at the positions, and the most that was ever buffered."""
    decoder = MultipartDecoder(boundary, max_header_bytes=300)
    edges = sorted({min(at, len(body)) for at in positions} | {0, len(body)})
    events, most = [], 0
    for start, stop in pairwise(edges):
        events += decoder.feed(body[start:stop])
        most = max(most, decoder.buffered)
    return join(events + decoder.close()), most


@given(part_lists, cuts, st.booleans())
def test_what_is_written_is_read(parts, positions, declare):
    encoder = MultipartEncoder("xyz")
    if not declare:  # then the boundary must not occur in the content
        parts = [(kind, data.replace(b"xyz", b"xzy")) for kind, data in parts]
    events, most = feed_cut(encode(parts, encoder, declare), positions)
    got = [(headers["content-type"], data, whole) for headers, data, whole in parts_of(events)]
    assert got == [(kind, data, True) for kind, data in parts]
    assert events[-1] == End(True)
    assert not kinds(events, Garbage)
    assert most <= LONGEST_BUFFER


mutations = st.tuples(
    st.sampled_from(["cut", "flip", "insert", "delete", "double"]),
    st.integers(0, 10**6),
    st.binary(min_size=1, max_size=9),
)


def mutate(body, kind, at, data):
    at %= len(body) or 1
    if kind == "cut":
        return body[:at], at
    if kind == "flip":
        return body[:at] + bytes([body[at] ^ (data[0] or 1)]) + body[at + 1 :], at
    if kind == "insert":
        return body[:at] + data + body[at:], at
    if kind == "delete":
        return body[:at] + body[at + len(data) :], at
    return body[:at] + body[at:] + body[at:], len(body)


@settings(max_examples=300)
@given(part_lists, mutations, cuts, st.booleans())
@example([("a/b", b"one")], ("cut", 60, b"x"), [], True)
def test_damage_never_raises_and_spares_whole_parts(parts, mutation, positions, declare):
    encoder = MultipartEncoder("xyz")
    if not declare:
        parts = [(kind, data.replace(b"xyz", b"xzy")) for kind, data in parts]
    body = encode(parts, encoder, declare)
    damaged, at = mutate(body, *mutation)
    events, most = feed_cut(damaged, positions)
    # a part is whole before the damage if the delimiter line after it is
    whole, end = 0, 0
    for kind, data in parts:
        length = len(data) if declare else None
        end += len(encoder.part_header(kind, length)) + len(data) + len(PART_END)
        whole += end + len(b"--xyz--") <= at
    expected = [(data, True) for _, data in parts[:whole]]
    assert contents(events)[:whole] == expected
    assert isinstance(events[-1], End)
    assert len(kinds(events, End)) == 1
    assert len(kinds(events, PartStart)) == len(kinds(events, PartEnd))
    assert most <= LONGEST_BUFFER


@given(
    st.lists(
        st.one_of(
            scraps,
            st.just(b"--xyz\r\n"),
            st.just(b"\r\n--xyz"),
            st.just(b"Content-Length: 3\r\n\r\n"),
        )
    ).map(b"".join),
    cuts,
)
def test_chunks_do_not_matter(body, positions):
    assert without_sample(feed_cut(body, positions)[0]) == without_sample(feed_cut(body, [])[0])


def without_sample(events):
    """What was found instead of a delimiter is quoted as far as it has arrived."""
    return [
        replace(event, problem=event.problem.partition("there is")[0])
        if isinstance(event, PartEnd) and event.problem
        else event
        for event in events
    ]


@given(st.lists(st.one_of(scraps, st.just(b"--xyz\r\n\r\n"), st.binary(max_size=9))).map(b"".join))
def test_every_byte_is_accounted_for(body):
    """Content and garbage together are the body without its delimiters and headers: nothing vanishes."""
    events = decode(body)
    given_back = sum(len(event.data) for event in kinds(events, PartData))
    thrown_away = sum(event.size for event in kinds(events, Garbage))
    assert given_back + thrown_away <= len(body)
    if not kinds(events, PartStart) and not events[-1].complete and body.strip():
        assert thrown_away == len(body) or b"--xyz" in body


def test_big_parts_are_fast():
    chunk = bytes(range(256)) * 4096
    decoder = MultipartDecoder(b"0123456789abcdef0123456789abcdef")
    decoder.feed(b"--0123456789abcdef0123456789abcdef\r\n\r\n")
    start = time.perf_counter()
    for _ in range(64):
        decoder.feed(chunk)
    # 64 MiB: far slower than measured (more than 2 GB/s), to fail on accidents only
    assert time.perf_counter() - start < 1
