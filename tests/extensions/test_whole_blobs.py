"""What `WholeBlobStore` makes of four methods is a storage, also when they fail."""

import errno
import io
from datetime import UTC, datetime

import pytest

from dicomweb_server.interfaces.storage import BlobInfo, BlobNotFound, StorageError, StorageFull
from dicomweb_server.interfaces.whole_blobs import WholeBlobStore, files_in, move_durably
from dicomweb_server.testing.contracts import BlobStoreContract
from dicomweb_server.testing.providers import build_provider


class BucketStore(WholeBlobStore):
    """As an object store: it copies, and raises errors of its own."""

    name = "bucket"

    def __init__(self, settings):
        self.waiting = settings.config.path("waiting")
        self.objects = {}
        self.failures = {}

    def _fail(self, what):
        if what in self.failures:
            raise self.failures[what]

    def save(self, key, file):
        self._fail(len(self.objects))
        self.objects[key] = file.read_bytes()

    def load(self, key):
        self._fail("load")
        return io.BytesIO(self.objects[key])

    def remove(self, key):
        self._fail("remove")
        del self.objects[key]

    def listed(self):
        self._fail("listed")
        for key, data in list(self.objects.items()):
            yield BlobInfo(key, len(data), datetime.now(UTC))


class FolderStore(WholeBlobStore):
    """Files, moved instead of copied."""

    name = "folder"

    def __init__(self, settings):
        self.waiting = settings.config.path("blobs")

    def save(self, key, file):
        move_durably(file, self.waiting / key)

    def load(self, key):
        return (self.waiting / key).open("rb")

    def remove(self, key):
        (self.waiting / key).unlink()

    def listed(self):
        return files_in(self.waiting)


class TestBucket(BlobStoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        return build_provider(BucketStore, tmp_path)


class TestFolder(BlobStoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        return build_provider(FolderStore, tmp_path)


@pytest.fixture
def bucket(tmp_path):
    store = build_provider(BucketStore, tmp_path)
    store.prepare(fresh=True)
    return store


def finished(store, data=b"abc"):
    writer = store.create()
    writer.write(data)
    writer.finish()
    return writer


def test_nothing_waits_after_the_commit(bucket):
    bucket.commit([finished(bucket), finished(bucket)])
    assert list(bucket.waiting.iterdir()) == []
    assert len(bucket.objects) == 2


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.ENOSPC, "no room"), StorageFull),
        (OSError(errno.EIO, "broken"), StorageError),
        (ValueError("the bucket is closed"), StorageError),
        (StorageFull("quota"), StorageFull),
    ],
)
def test_a_commit_that_fails_in_the_middle_leaves_nothing(bucket, error, kind):
    bucket.failures[1] = error
    writers = [finished(bucket) for _ in range(3)]
    with pytest.raises(kind) as caught:
        bucket.commit(writers)
    assert type(caught.value) is kind
    assert bucket.objects == {}
    for writer in writers:
        writer.abort()
    assert list(bucket.waiting.iterdir()) == []


@pytest.mark.parametrize("call", ["load", "remove", "listed"])
def test_what_a_method_raises_is_an_error_of_the_storage(bucket, call):
    key = bucket.put([b"abc"])
    bucket.failures[call] = RuntimeError("the network is down")
    methods = {
        "load": lambda: bucket.read(key, 0, 1),
        "remove": lambda: bucket.delete(key),
        "listed": lambda: list(bucket.iterate()),
    }
    with pytest.raises(StorageError) as caught:
        methods[call]()
    assert not isinstance(caught.value, BlobNotFound)
    assert "the network is down" in str(caught.value)


def test_a_place_that_should_hold_instances_and_is_empty_is_refused(bucket):
    with pytest.raises(StorageError, match="mounted"):
        bucket.prepare(fresh=False)
    bucket.put([b"abc"])
    bucket.prepare(fresh=False)


def test_a_folder_that_vanishes_is_not_made_again(tmp_path):
    store = build_provider(FolderStore, tmp_path)
    with pytest.raises(StorageError):
        store.create()
    assert not store.waiting.exists()
    with pytest.raises(StorageError):
        store.prepare(fresh=False)


def test_what_a_crash_left_behind_is_listed_and_can_be_deleted(tmp_path):
    store = build_provider(FolderStore, tmp_path)
    store.prepare(fresh=True)
    left = store.create()
    left.write(b"cut")
    store.put([b"abc"])
    unfinished = [info for info in store.iterate() if not info.finished]
    assert [info.key for info in unfinished] == [f"{left.key}.part"]
    with pytest.raises(BlobNotFound):
        store.open(unfinished[0].key)
    store.delete(unfinished[0].key)
    assert all(info.finished for info in store.iterate())
