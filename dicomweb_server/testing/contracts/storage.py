"""What every `BlobStore` must do."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from dicomweb_server.interfaces.storage import (
    BlobNotFound,
    BlobStore,
    BlobWriter,
    StorageError,
)
from dicomweb_server.testing.threads import together

_KEY = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*\Z")
DATA = bytes(range(256)) * 300


def finished(store: BlobStore, data: bytes) -> BlobWriter:
    """A writer with all bytes, not yet committed."""
    writer = store.create()
    writer.write(data)
    writer.finish()
    return writer


def keys(store: BlobStore) -> set[str]:
    """Every key that the store lists, unfinished ones too."""
    return {info.key for info in store.iterate()}


class BlobStoreContract:
    """Give the fixture `store`: an empty `BlobStore`."""

    @pytest.fixture
    def store(self) -> BlobStore:
        """The store under test."""
        raise NotImplementedError("override the fixture `store`")

    @pytest.fixture(autouse=True)
    def _prepared(self, store: BlobStore) -> None:
        store.prepare(fresh=True)

    # --- what was put is there -------------------------------------------------------------

    @pytest.mark.parametrize("size", [0, 1, 4096, len(DATA)])
    def test_what_was_put_comes_back(self, store: BlobStore, size: int) -> None:
        key = store.put([DATA[:size]])
        assert store.read(key, 0, size + 1) == DATA[:size]
        assert store.size(key) == size

    def test_pieces_of_all_kinds_are_joined(self, store: BlobStore) -> None:
        writer = store.create()
        for piece in (b"ab", memoryview(b"cd"), b"", memoryview(b"xefx")[1:3]):
            writer.write(piece)
        assert writer.size == 6
        writer.finish()
        store.commit([writer])
        assert store.read(writer.key, 0, 100) == b"abcdef"

    def test_keys_are_fresh_relative_paths(self, store: BlobStore) -> None:
        found = [store.put([b"same"]) for _ in range(20)]
        assert len(set(found)) == 20
        assert all(_KEY.match(key) for key in found)

    def test_open_gives_a_seekable_file(self, store: BlobStore) -> None:
        with store.open(store.put([DATA])) as file:
            file.seek(1000)
            assert file.read(5) == DATA[1000:1005]
            file.seek(0)
            assert file.read() == DATA

    @pytest.mark.parametrize(
        ("offset", "length"),
        [(0, 10), (7, 0), (len(DATA) - 3, 3), (len(DATA) - 3, 10), (len(DATA), 5), (10**9, 5)],
    )
    def test_a_range_is_shorter_only_at_the_end(
        self, store: BlobStore, offset: int, length: int
    ) -> None:
        assert store.read(store.put([DATA]), offset, length) == DATA[offset : offset + length]

    def test_a_local_path_holds_exactly_the_bytes(self, store: BlobStore) -> None:
        path = store.local_path(store.put([DATA]))
        assert path is None or path.read_bytes() == DATA

    def test_iterate_lists_every_blob(self, store: BlobStore) -> None:
        sizes = {store.put([DATA[:n]]): n for n in (0, 10, 20)}
        listed = {info.key: info for info in store.iterate()}
        assert {key: info.size for key, info in listed.items()} == sizes
        now = datetime.now(UTC)
        for info in listed.values():
            assert abs(now - info.modified) < timedelta(hours=1)

    # --- commit ----------------------------------------------------------------------------

    def test_nobody_sees_a_blob_before_its_commit(self, store: BlobStore) -> None:
        writer = finished(store, DATA)
        with pytest.raises(BlobNotFound):
            store.read(writer.key, 0, 1)
        with pytest.raises(BlobNotFound):
            store.open(writer.key)
        with pytest.raises(BlobNotFound):
            store.size(writer.key)
        store.commit([writer])
        assert store.read(writer.key, 0, len(DATA)) == DATA

    def test_a_commit_makes_all_its_blobs_visible(self, store: BlobStore) -> None:
        writers = [finished(store, DATA[:n]) for n in range(20)]
        for writer in writers[::2]:
            writer.flush_soon()
        store.commit(writers)
        assert [store.size(writer.key) for writer in writers] == list(range(20))
        assert keys(store) == {writer.key for writer in writers}

    def test_a_commit_of_nothing_is_nothing(self, store: BlobStore) -> None:
        store.commit([])
        assert keys(store) == set()

    def test_an_unfinished_blob_cannot_be_committed(self, store: BlobStore) -> None:
        writer = store.create()
        writer.write(DATA)
        with pytest.raises(StorageError):
            store.commit([writer])
        writer.abort()
        assert keys(store) == set()

    def test_nothing_is_written_behind_the_end(self, store: BlobStore) -> None:
        writer = finished(store, DATA)
        with pytest.raises(StorageError):
            writer.write(b"more")
        store.commit([writer])
        assert store.size(writer.key) == len(DATA)

    def test_the_reader_shows_what_was_written_so_far(self, store: BlobStore) -> None:
        writer = store.create()
        writer.write(DATA)
        with writer.reader() as file:
            assert file.read() == DATA
        writer.finish()
        with writer.reader() as file:
            file.seek(10)
            assert file.read(5) == DATA[10:15]
        writer.abort()

    # --- giving up -------------------------------------------------------------------------

    def test_an_aborted_writer_leaves_nothing(self, store: BlobStore) -> None:
        begun, written, done, flushed = (store.create() for _ in range(4))
        for writer in (written, done, flushed):
            writer.write(DATA)
        done.finish()
        flushed.finish()
        flushed.flush_soon()
        for writer in (begun, written, done, flushed):
            writer.abort()
            writer.abort()
        assert keys(store) == set()
        for writer in (begun, written, done, flushed):
            with pytest.raises(BlobNotFound):
                store.open(writer.key)

    def test_an_aborted_writer_refuses_more(self, store: BlobStore) -> None:
        writer = store.create()
        writer.abort()
        with pytest.raises(StorageError):
            writer.write(b"x")
        with pytest.raises(StorageError):
            store.commit([writer])
        assert keys(store) == set()

    def test_a_commit_that_fails_can_be_given_up_wholly(self, store: BlobStore) -> None:
        good, given_up = finished(store, DATA), finished(store, DATA)
        given_up.abort()
        with pytest.raises(StorageError):
            store.commit([good, given_up])
        good.abort()
        assert keys(store) == set()

    def test_an_abort_after_the_commit_takes_nothing_back(self, store: BlobStore) -> None:
        writer = finished(store, DATA)
        store.commit([writer])
        writer.abort()
        assert store.read(writer.key, 0, len(DATA)) == DATA

    def test_a_source_that_fails_leaves_nothing(self, store: BlobStore) -> None:
        def source() -> Iterator[bytes]:
            yield DATA
            raise ConnectionError("the client is gone")

        with pytest.raises(ConnectionError):
            store.put(source())
        assert keys(store) == set()

    # --- what is not there -----------------------------------------------------------------

    def test_deleting_is_done_once_and_never_fails(self, store: BlobStore) -> None:
        kept, key = store.put([b"kept"]), store.put([DATA])
        store.delete(key)
        store.delete(key)
        with pytest.raises(BlobNotFound):
            store.read(key, 0, 1)
        assert keys(store) == {kept}

    @pytest.mark.parametrize("change", [lambda k: k[:-1], lambda k: k[::-1], lambda k: k + "0"])
    def test_an_unknown_key_is_not_found(self, store: BlobStore, change: object) -> None:
        assert callable(change)
        unknown = change(store.put([DATA]))
        for call in (store.open, store.size, lambda key: store.read(key, 0, 1)):
            with pytest.raises(BlobNotFound):
                call(unknown)

    @pytest.mark.parametrize("key", ["", "..", "../x", "/etc/passwd", "a\0b", "nothing"])
    def test_a_strange_key_is_not_found_and_reaches_nothing(
        self, store: BlobStore, key: str
    ) -> None:
        for call in (store.open, store.size, lambda key: store.read(key, 0, 1)):
            with pytest.raises(BlobNotFound):
                call(key)

    @pytest.mark.parametrize("key", ["", "..", "../x", "/etc/passwd", "a\0b", "nothing"])
    def test_deleting_a_strange_key_does_not_raise(self, store: BlobStore, key: str) -> None:
        kept = store.put([b"kept"])
        store.delete(key)
        assert keys(store) == {kept}

    def test_what_is_open_can_be_read_while_it_is_deleted(self, store: BlobStore) -> None:
        key = store.put([DATA])
        with store.open(key) as file:
            store.delete(key)
            assert file.read() == DATA

    # --- many at once ----------------------------------------------------------------------

    def test_many_threads_write_at_once(self, store: BlobStore) -> None:
        def put(number: int) -> list[str]:
            data = bytes([number]) * 1000
            return [store.put([data, data]) for _ in range(10)]

        found = together(put, range(8))
        for number, written in enumerate(found):
            for key in written:
                assert store.read(key, 0, 3000) == bytes([number]) * 2000
        assert len(keys(store)) == 80

    def test_readers_see_whole_blobs_or_none(self, store: BlobStore) -> None:
        writers = [finished(store, DATA) for _ in range(30)]

        def commit_or_read(reading: bool) -> None:
            for writer in writers:
                if not reading:
                    store.commit([writer])
                    continue
                with contextlib.suppress(BlobNotFound):
                    assert store.read(writer.key, 0, len(DATA)) == DATA

        together(commit_or_read, [False, True, True])
        assert keys(store) == {writer.key for writer in writers}
