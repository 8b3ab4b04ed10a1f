"""Backups that are made while others store and delete, archives that come back, files that move."""

import json
import os
import shutil
import sqlite3
import threading
from contextlib import closing

import httpx
import pytest

from dicomweb_server.interfaces.storage import StorageFull
from dicomweb_server.services import backup as backing_up
from dicomweb_server.testing.dicom import make_instance, make_study, multipart_body, path_of
from dicomweb_server.testing.server import RunningServer
from tests.cli.test_commands import Operator
from tests.commands import command

RAW = {"Accept": "application/dicom; transfer-syntax=*"}


def files_below(folder):
    return {path for path in folder.rglob("[!.]*") if path.is_file()}


class Archive(Operator):
    """An operator whose archive holds `count` instances."""

    def __init__(self, folder, count=0, **options):
        folder.mkdir(exist_ok=True)
        super().__init__(folder)
        self.configure(**options)
        self.backup = folder.parent / "backup"
        self.files = [make_instance(PatientID=f"P{number}") for number in range(count)]
        self.store(*self.files)

    def store(self, *files):
        for number, data in enumerate(files):
            (self.folder / f"{number}.dcm").write_bytes(data)
        if files:
            paths = [str(self.folder / f"{number}.dcm") for number in range(len(files))]
            done = self.call("import", *paths)
            assert done.exit_code == 0, done.output

    def blobs(self, storage="data/instances"):
        return files_below(self.folder / storage)

    def contents(self, storage="data/instances"):
        return sorted(path.read_bytes() for path in self.blobs(storage))

    def is_sound(self):
        done = self.call("check", "--digests")
        assert done.exit_code == 0, done.output
        return True


@pytest.fixture
def archive(tmp_path):
    return Archive(tmp_path / "archive", 4)


@pytest.fixture
def other(tmp_path):
    return Archive(tmp_path / "other")


# --- backup and restore --------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--digests",), ("--copy",)])
def test_an_archive_comes_back(archive, other, options):
    done = archive.call("backup", str(archive.backup), *options)
    assert done.exit_code == 0, done.output
    assert "4 files, 4 of them new" in done.output
    shutil.rmtree(archive.folder)
    back = other.call("restore", str(archive.backup), *options)
    assert back.exit_code == 0, back.output
    assert "4 files" in back.output
    assert other.contents() == sorted(archive.files)
    assert other.stats()["instances"] == 4
    assert other.is_sound()


def test_only_what_is_new_is_copied_again_and_what_was_deleted_goes(archive):
    archive.call("backup", str(archive.backup))
    archive.store(make_instance())
    (study,) = {path_of(archive.files[0]).split("/")[1]}
    delete(archive, study)
    done = archive.call("backup", str(archive.backup))
    assert "4 files, 1 of them new, 1 deleted ones removed" in done.output
    assert {path.name for path in files_below(archive.backup / "files")} == {
        path.name for path in archive.blobs()
    }


def delete(operator, study):
    from dicomweb_server.interfaces.auth import EVERYTHING
    from dicomweb_server.ps318.paths import Resource
    from dicomweb_server.web.app import create_context

    context = create_context(operator.config)
    try:
        assert context.services.removal.delete(Resource(study), EVERYTHING).instances
    finally:
        context.close()


def test_links_are_made_where_they_can_be(archive):
    archive.call("backup", str(archive.backup))
    assert {path.stat().st_nlink for path in archive.blobs()} == {2}
    archive.call("backup", str(archive.backup) + "2", "--copy")
    assert {path.stat().st_nlink for path in archive.blobs()} == {2}


def test_where_no_link_can_be_made_files_are_copied(archive, other, monkeypatch):
    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    assert archive.call("backup", str(archive.backup)).exit_code == 0
    assert other.call("restore", str(archive.backup)).exit_code == 0
    assert other.is_sound()
    assert {path.stat().st_nlink for path in other.blobs()} == {1}


def test_what_is_deleted_while_the_backup_is_made_is_not_in_it(archive, other, monkeypatch):
    place = backing_up.place
    studies = [path_of(data).split("/")[1] for data in archive.files]

    def deleting(source, target, *, link):
        if len(studies) > 2:
            delete(archive, studies.pop())
        place(source, target, link=link)

    monkeypatch.setattr(backing_up, "place", deleting)
    done = archive.call("backup", str(archive.backup))
    assert done.exit_code == 0, done.output
    assert "2 files" in done.output
    assert other.call("restore", str(archive.backup)).exit_code == 0
    assert other.stats()["instances"] == 2
    assert other.is_sound()


def test_a_backup_that_never_gets_ready_says_so(archive, monkeypatch):
    def gone(*_, **__):
        archive.store(make_instance(PatientID="more"))
        delete(archive, path_of(archive.files.pop()).split("/")[1])
        raise FileNotFoundError

    archive.store(*(more := [make_instance() for _ in range(12)]))
    archive.files += more
    monkeypatch.setattr(backing_up, "place", gone)
    monkeypatch.setattr(backing_up, "_ATTEMPTS", 2)
    done = archive.call("backup", str(archive.backup))
    assert done.exit_code == 1
    assert "try later" in done.output
    assert not (archive.backup / "index").exists()


def test_lost_and_wrong_files_are_named_and_the_others_copied(archive, other):
    lost, cut, changed, _ = sorted(archive.blobs())
    lost.unlink()
    cut.write_bytes(b"x")
    changed.write_bytes(changed.read_bytes()[:-1] + b"?")
    done = archive.call("backup", str(archive.backup), "--digests")
    assert done.exit_code == 1
    for path in (lost, cut, changed):
        assert path.name in done.output
    assert "1 files" in done.output
    back = other.call("restore", str(archive.backup))
    assert back.exit_code == 1
    assert lost.name in back.output
    assert other.call("check").exit_code == 1


def test_a_file_of_the_backup_that_went_bad_is_taken_anew(archive):
    archive.call("backup", str(archive.backup), "--copy")
    bad = sorted(files_below(archive.backup / "files"))[0]
    bad.write_bytes(bad.read_bytes()[:-1] + b"?")
    done = archive.call("backup", str(archive.backup), "--copy", "--digests")
    assert done.exit_code == 0, done.output
    assert "1 of them new" in done.output


def test_restoring_a_backup_that_went_bad(archive, other):
    archive.call("backup", str(archive.backup), "--copy")
    bad = sorted(files_below(archive.backup / "files"))[0]
    bad.write_bytes(bad.read_bytes()[:-1] + b"?")
    done = other.call("restore", str(archive.backup), "--digests")
    assert done.exit_code == 1
    assert bad.name in done.output
    assert other.stats()["instances"] == 4  # the instance is sent again, or found elsewhere


def test_nothing_is_restored_over_an_archive(archive, other):
    archive.call("backup", str(archive.backup))
    other.store(make_instance())
    done = other.call("restore", str(archive.backup))
    assert done.exit_code == 1
    assert "already" in done.output
    (other.folder / "data" / "index.sqlite").unlink()
    for path in (other.folder / "data").glob("index.sqlite-*"):
        path.unlink()
    done = other.call("restore", str(archive.backup))
    assert done.exit_code == 1
    assert "not empty" in done.output
    assert not (other.folder / "data" / "index.sqlite").exists()


def test_a_restoration_that_was_interrupted_goes_on(archive, other, monkeypatch):
    archive.call("backup", str(archive.backup))
    place, left = os.link, [1, 1]

    def interrupted(*arguments):
        if not left:
            raise KeyboardInterrupt
        left.pop()
        place(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", interrupted)
        assert other.call("restore", str(archive.backup)).exit_code == 1
    assert not (other.folder / "data" / "index.sqlite").exists()
    assert other.call("restore", str(archive.backup)).exit_code == 0
    assert other.is_sound()


def leave_links(archive, other, monkeypatch):
    """Restore, and lose the process between making a link and giving it its name."""
    archive.call("backup", str(archive.backup))

    def killed(path, *_):
        raise KeyboardInterrupt if os.path.exists(path) else FileNotFoundError

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", killed)
        patched.setattr(os, "unlink", killed)
        assert other.call("restore", str(archive.backup)).exit_code == 1


def test_nothing_is_left_of_a_restoration_that_was_killed(archive, other, monkeypatch):
    leave_links(archive, other, monkeypatch)
    assert any(path.suffix == ".adopted" for path in other.blobs())
    assert other.call("restore", str(archive.backup)).exit_code == 0
    assert not any(path.suffix for path in other.blobs())
    assert other.is_sound()


def test_a_restoration_that_goes_on_over_finished_files_leaves_nothing(archive, other):
    archive.call("backup", str(archive.backup))
    assert other.call("restore", str(archive.backup)).exit_code == 0
    (other.folder / "data" / "index.sqlite").unlink()
    assert other.call("restore", str(archive.backup)).exit_code == 0
    assert not any(path.suffix for path in other.blobs())


def test_what_an_older_restoration_left_is_found_and_removed(archive):
    blob = min(archive.blobs())
    left = blob.with_name(f"{blob.name}.adopted")
    os.link(blob, left)
    os.utime(left, (0, 0))
    found = archive.call("check")
    assert left.name in found.output
    archive.call("check", "--repair")
    assert not left.exists()
    assert blob.exists()
    assert archive.is_sound()


def test_what_is_no_backup_is_left_alone(archive, other, tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("Dear")
    done = archive.call("backup", str(tmp_path / "letters"))
    assert done.exit_code == 1
    assert "no backup" in done.output
    assert [path.name for path in (tmp_path / "letters").iterdir()] == ["a.txt"]
    done = other.call("restore", str(tmp_path / "letters"))
    assert done.exit_code == 1
    assert "backup.json" in done.output


def test_a_backup_without_index_is_not_complete(archive, other):
    archive.call("backup", str(archive.backup))
    (archive.backup / "index").unlink()
    done = other.call("restore", str(archive.backup))
    assert done.exit_code == 1
    assert "not complete" in done.output


def test_only_storages_with_files_can_be_copied(tmp_path):
    archive = Archive(tmp_path / "archive", Storages={"default": {"Type": "memory"}})
    archive.call("migrate")
    with closing(sqlite3.connect(archive.folder / "data" / "index.sqlite")) as database:
        assert database.execute("SELECT count(*) FROM instances").fetchone() == (0,)
    (archive.folder / "x.dcm").write_bytes(make_instance())
    archive.call("import", str(archive.folder / "x.dcm"))
    done = archive.call("backup", str(archive.backup))
    assert done.exit_code == 1
    assert "memory" in done.output


def test_numbers_are_never_used_again_after_a_restoration(archive, other):
    archive.call("backup", str(archive.backup))
    archive.store(make_instance(), make_instance())
    other.call("restore", str(archive.backup))
    other.store(make_instance())

    def numbers(operator):
        with closing(sqlite3.connect(operator.folder / "data" / "index.sqlite")) as database:
            return {row[0] for row in database.execute("SELECT seq FROM changes")}

    common = numbers(archive) & numbers(other)
    assert max(numbers(other) - common) > max(numbers(archive))


@pytest.mark.slow
def test_a_backup_of_a_server_that_stores_and_deletes(tmp_path, other):
    with RunningServer(folder=tmp_path / "server", workers=2) as server:
        stop = threading.Event()
        promised = []

        def load():
            with httpx.Client(timeout=60) as client:
                while not stop.is_set():
                    kept, doomed = (
                        make_study(series=1, instances=2),
                        make_study(series=1, instances=2),
                    )
                    for files in (kept, doomed):
                        body, content_type = multipart_body(files)
                        answer = client.post(
                            f"{server.url}studies",
                            content=body,
                            headers={"Content-Type": content_type},
                        )
                        assert answer.status_code == 200
                    promised.extend(kept)
                    uid = path_of(doomed[0]).split("/")[1]
                    assert client.delete(f"{server.url}studies/{uid}").status_code == 204

        loading = threading.Thread(target=load)
        loading.start()
        try:
            folder = str(tmp_path / "backup")
            for _ in range(3):
                before = list(promised)
                done = command(server, "backup", folder, "--digests")
                assert done.exit_code == 0, done.stdout + done.stderr
        finally:
            stop.set()
            loading.join(60)
    back = other.call("restore", folder, "--digests")
    assert back.exit_code == 0, back.output
    assert other.is_sound()
    assert set(before) <= set(other.contents())


# --- moving --------------------------------------------------------------------------------

STORAGES = {"default": {"Path": "fast"}, "slow": {"Path": "slow"}}


@pytest.fixture
def two(tmp_path):
    return Archive(tmp_path / "two", 5, Storages=STORAGES)


def moved(operator, *options, source="default", target="slow"):
    return operator.call("move", "--from", source, "--to", target, "--grace", "0", *options)


def test_instances_move_and_come_back(two):
    done = moved(two)
    assert done.exit_code == 0, done.output
    assert "5 files" in done.output
    assert two.blobs("fast") == set()
    assert two.contents("slow") == sorted(two.files)
    assert two.is_sound()
    assert "0 files" in moved(two).output
    moved(two, source="slow", target="default")
    assert two.contents("fast") == sorted(two.files)
    assert two.is_sound()


def test_only_one_study_moves(two):
    study = path_of(two.files[2]).split("/")[1]
    assert "1 files" in moved(two, "--study", study).output
    assert two.contents("slow") == [two.files[2]]
    assert two.is_sound()


def test_only_old_instances_move(two):
    assert "0 files" in moved(two, "--older-than", "1").output
    with closing(sqlite3.connect(two.folder / "data" / "index.sqlite")) as database, database:
        database.execute(
            "UPDATE instances SET received = '2020-01-01 00:00:00.000000' WHERE id = "
            "(SELECT min(id) FROM instances)"
        )
    assert "1 files" in moved(two, "--older-than", "1").output
    assert "4 files" in moved(two, "--older-than", "0").output


def test_what_is_lost_or_wrong_stays_and_is_named(two):
    lost, changed, *_ = sorted(two.blobs("fast"))
    lost.unlink()
    changed.write_bytes(changed.read_bytes()[:-1] + b"?")
    done = moved(two)
    assert done.exit_code == 1
    assert lost.name in done.output
    assert changed.name in done.output
    assert "3 files" in done.output
    assert two.blobs("fast") == {changed}
    assert len(two.blobs("slow")) == 3


def test_storages_that_are_not_there(two):
    done = moved(two, target="nowhere")
    assert done.exit_code == 1
    assert "possible are default, slow" in done.output
    assert "both" in moved(two, target="default").output


def test_a_target_that_is_full_leaves_everything_where_it_was(two, monkeypatch):
    from dicomweb_storage_filesystem.store import FileSystemStore

    def full(*_):
        raise StorageFull("there is no room left")

    with monkeypatch.context() as patched:
        patched.setattr(FileSystemStore, "commit", full)
        done = moved(two)
    assert done.exit_code == 1
    assert "no room" in done.output
    assert len(two.blobs("fast")) == 5
    assert two.blobs("slow") == set()
    assert moved(two).exit_code == 0


def test_an_index_that_fails_leaves_everything_where_it_was(two, monkeypatch):
    from dicomweb_index_sql import SqlIndex

    from dicomweb_server.interfaces.index import IndexUnavailable

    def gone(*_):
        raise IndexUnavailable("the index is gone")

    with monkeypatch.context() as patched:
        patched.setattr(SqlIndex, "relocate", gone)
        assert moved(two).exit_code == 1
    assert len(two.blobs("fast")) == 5
    assert two.blobs("slow") == set()
    assert two.is_sound()


@pytest.mark.slow
def test_moving_under_a_running_server(tmp_path):
    with RunningServer({"Storages": STORAGES}, folder=tmp_path, workers=2) as server:
        data = make_study(series=2, instances=20, pixels=bytes(20_000))
        body, content_type = multipart_body(data)
        headers = {"Content-Type": content_type}
        assert (
            httpx.post(f"{server.url}studies", content=body, headers=headers, timeout=60)
        ).status_code == 200
        stop, wrong = threading.Event(), []

        def read():
            with httpx.Client(timeout=60) as client:
                while not stop.is_set():
                    for each in data[::7]:
                        answer = client.get(f"{server.url}{path_of(each)}", headers=RAW)
                        if (answer.status_code, answer.content) != (200, each):
                            wrong.append(answer.status_code)

        reading = threading.Thread(target=read)
        reading.start()
        try:
            for source, target in (("default", "slow"), ("slow", "default")):
                done = command(server, "move", "--from", source, "--to", target, "--grace", "1")
                assert done.exit_code == 0, done.stdout + done.stderr
                assert "40 files" in done.stdout
        finally:
            stop.set()
            reading.join(60)
        assert wrong == []
        assert json.loads(command(server, "stats").stdout)["instances"] == 40
        assert command(server, "check", "--digests").exit_code == 0
