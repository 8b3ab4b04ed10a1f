"""What is special about files: full disks, folders that cannot be written, leftovers."""

import errno
import os
import resource
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest
from dicomweb_storage_filesystem import FileSystemStore

from dicomweb_server.interfaces.storage import StorageError, StorageFull
from dicomweb_server.testing.providers import build_provider


@pytest.fixture
def store(tmp_path):
    store = build_provider(FileSystemStore, tmp_path, {"Path": "files"})
    store.prepare(fresh=True)
    yield store
    store.close()


def files(store):
    """Every blob; not the file that marks the folder."""
    return [path for path in store.root.rglob("[!.]*") if path.is_file()]


def fail(error):
    def call(*_):
        raise OSError(error, os.strerror(error))

    return call


def test_the_folder_is_that_of_the_section(store, tmp_path):
    store.put([b"x"])
    assert store.root == tmp_path / "files"
    assert [path.read_bytes() for path in files(store)] == [b"x"]


def test_without_a_path_files_lie_in_the_storage_directory(tmp_path):
    assert build_provider(FileSystemStore, tmp_path).root == tmp_path / "instances"


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_full_and_leaves_nothing(store, monkeypatch, error):
    store.put([b"before"])
    monkeypatch.setattr(os, "write", fail(error))
    with pytest.raises(StorageFull):
        store.put([b"x" * 100])
    monkeypatch.undo()
    assert len(files(store)) == 1


@pytest.mark.parametrize("call", ["fdatasync", "fsync"])
def test_a_flush_that_fails_is_no_commit(store, monkeypatch, call):
    store.put([b"before"])
    writer = store.create()
    writer.write(b"x")
    writer.finish()
    monkeypatch.setattr(os, call, fail(errno.EIO))
    with pytest.raises(StorageError):
        store.commit([writer])
    monkeypatch.undo()
    writer.abort()
    assert len(files(store)) == 1


def test_flushes_in_the_background_report_a_full_disk(store, monkeypatch):
    writers = [store.create() for _ in range(3)]
    for writer in writers:
        writer.write(b"x")
        writer.finish()
    monkeypatch.setattr(os, "fdatasync", fail(errno.ENOSPC))
    for writer in writers:
        writer.flush_soon()
    with pytest.raises(StorageFull):
        store.commit(writers)
    monkeypatch.undo()
    for writer in writers:
        writer.abort()
    assert files(store) == []


def test_a_limit_of_the_kernel_is_met(tmp_path):
    """A child process with a tiny RLIMIT_FSIZE: the real system call fails."""
    source = """
        import resource, signal, sys
        from pathlib import Path
        from dicomweb_storage_filesystem import FileSystemStore
        from dicomweb_server.interfaces.storage import StorageFull
        from dicomweb_server.testing.providers import build_provider
        store = build_provider(FileSystemStore, Path(sys.argv[1]))
        store.prepare(fresh=True)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        store.put([b"a" * 9_000])
        try:
            store.put([b"b" * 9_000, b"b" * 9_000])
        except StorageFull as error:
            print(error)
        print(sum(1 for _ in store.iterate()))
    """
    command = [sys.executable, "-c", textwrap.dedent(source), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    sentence, count = done.stdout.splitlines()
    assert "no room left" in sentence
    assert count == "1"


def in_child(work):
    """Run a function in a child process that root's privileges do not help; what it returns."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            os.write(writing, "\n".join(work()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        lines = pipe.read().splitlines()
    os.waitpid(pid, 0)
    return lines


def test_a_folder_that_cannot_be_written():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        closed = Path(folder, "closed")
        store = build_provider(FileSystemStore, Path(folder), {"Path": "closed"})
        store.prepare(fresh=True)
        closed.chmod(0o555)

        def work():
            for call in (store.check, store.create):
                try:
                    call()
                except StorageError as error:
                    yield str(error)

        lines = in_child(work)
        assert len(lines) == 2
        assert all(str(closed) in line for line in lines)
        assert list(closed.glob("[!.]*")) == []


def test_the_folder_is_made_at_the_start_and_never_again(store):
    store.check()
    store.put([b"x"])
    store.root.rename(store.root.with_name("elsewhere"))
    with pytest.raises(StorageError, match="files"):
        store.check()
    with pytest.raises(StorageError):
        store.put([b"x"])
    assert not store.root.exists()


def test_an_empty_mount_point_is_no_empty_archive(tmp_path):
    (tmp_path / "files").mkdir()
    store = build_provider(FileSystemStore, tmp_path, {"Path": "files"})
    with pytest.raises(StorageError, match="mounted"):
        store.prepare(fresh=False)
    store.prepare(fresh=True)
    build_provider(FileSystemStore, tmp_path, {"Path": "files"}).prepare(fresh=False)


def test_a_full_disk_is_not_ready(store, monkeypatch):
    full = os.statvfs_result((4096, 4096, 1000, 0, 0, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    with pytest.raises(StorageFull, match="room"):
        store.check()


def test_check_names_what_is_in_the_way(tmp_path):
    (tmp_path / "files").write_text("not a folder")
    store = build_provider(FileSystemStore, tmp_path, {"Path": "files"})
    with pytest.raises(StorageError, match="files"):
        store.check()


def test_what_a_crash_left_is_listed_and_can_be_deleted(store):
    writer = store.create()
    writer.write(b"half")
    (left,) = store.iterate()
    assert left.key == f"{writer.key}.part"
    assert left.size == 4
    store.delete(left.key)
    assert files(store) == []
    writer.abort()


def test_files_of_others_are_not_blobs(store):
    store.put([b"x"])
    (store.root / "README").write_text("hello")
    (store.root / "ab").mkdir(exist_ok=True)
    (store.root / "ab" / "cd").write_text("hello")
    assert len(list(store.iterate())) == 1


def test_a_folder_holds_a_thousand_files_at_most(store):
    for _ in range(1100):
        store.create().abort()
    writers = [store.create() for _ in range(2)]
    folders = {folder for folder in store.root.glob("*/*") if folder.is_dir()}
    assert len(folders) >= 2
    for writer in writers:
        writer.abort()


def test_the_store_works_on_both_sides_of_a_fork(store):
    before = store.put([b"before"])
    pid = os.fork()
    if pid == 0:
        try:
            key = store.put([b"child"])
            writers = [store.create() for _ in range(3)]
            for writer in writers:
                writer.write(b"y")
                writer.finish()
                writer.flush_soon()
            store.commit(writers)
            os._exit(0 if store.read(key, 0, 10) == b"child" else 1)
        except BaseException:
            os._exit(2)
    after = store.put([b"after"])
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert store.read(before, 0, 10) + store.read(after, 0, 10) == b"beforeafter"
    assert len(files(store)) == 6


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_many_open_writers_need_few_descriptors(store):
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = descriptors()
    writers = [store.create() for _ in range(64)]
    assert descriptors() - before <= 64 < soft
    for writer in writers:
        writer.abort()
    assert descriptors() == before
