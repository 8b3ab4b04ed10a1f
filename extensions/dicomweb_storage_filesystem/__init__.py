"""Keeps instances as files; the default storage."""

from dicomweb_server import hookimpl
from dicomweb_server.interfaces.storage import BlobStore
from dicomweb_storage_filesystem.store import FileSystemStore


@hookimpl
def register_storages() -> list[type[BlobStore]]:
    return [FileSystemStore]
