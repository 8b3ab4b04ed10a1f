"""Both storages keep the contract."""

import pytest
from dicomweb_storage_filesystem import FileSystemStore
from dicomweb_storage_memory import MemoryStore

from dicomweb_server.testing.contracts import BlobStoreContract
from dicomweb_server.testing.providers import build_provider


class TestFileSystemStore(BlobStoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        store = build_provider(FileSystemStore, tmp_path)
        yield store
        store.close()


class TestMemoryStore(BlobStoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        return build_provider(MemoryStore, tmp_path)
