"""Digests of streams, whatever the sizes of their pieces."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.services.digests import Digests
from dicomweb_server.testing.threads import together


@given(st.lists(st.sampled_from([0, 1, 1000, 200_000, 300_001]), max_size=6))
def test_they_are_those_of_hashlib(sizes):
    digests, whole = Digests(md5=True), b""
    for number, size in enumerate(sizes):
        piece = bytes([number]) * size
        digests.update(memoryview(piece))
        whole += piece
    assert digests.sha256 == hashlib.sha256(whole).hexdigest()
    assert digests.md5 == hashlib.md5(whole).hexdigest()


def test_many_streams_at_once():
    def digest(number):
        digests = Digests(md5=True)
        for _ in range(5):
            digests.update(bytes([number]) * 200_000)
        return digests.md5

    expected = [hashlib.md5(bytes([n]) * 1_000_000).hexdigest() for n in range(20)]
    assert together(digest, list(range(20))) == expected


@pytest.mark.parametrize("size", [10, 500_000])
def test_without_md5(size):
    digests = Digests(md5=False)
    digests.update(bytes(size))
    assert digests.md5 == ""
