"""What is kept of instances is gone when they are, on every node."""

import time
from pathlib import Path
from unittest.mock import patch

import httpx
import pytest

from dicomweb_server.interfaces.index import BlobRef
from dicomweb_server.services.derived import DerivedCache
from dicomweb_server.testing.apps import context_of, temporary_app
from dicomweb_server.testing.dicom import make_picture, new_uid, path_of, uids_of
from dicomweb_server.testing.frames import make_format, make_image
from dicomweb_server.testing.server import RunningServer
from tests.conftest import Client

JPEG = "image/jpeg"


def grey(**attributes):
    return make_picture([make_image(make_format(12))], **attributes)


def kept(folder):
    """The files of the caches, but for locks."""
    return sorted(p for p in folder.rglob("cache/*/*/*/**/*") if p.is_file())


def fill(client, data):
    """Let the caches have something of each kind."""
    study, series, _ = uids_of(data)
    for path in (f"/studies/{study}", f"/studies/{study}/series/{series}"):
        assert client.get(f"{path}/metadata").status_code == 200
    assert client.get(f"/{path_of(data)}/rendered", JPEG).status_code == 200


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_a_deletion_empties_the_caches(client, tmp_path, level):
    data = grey()
    client.stored(data, grey(StudyInstanceUID=uids_of(data)[0]))
    fill(client, data)
    assert kept(tmp_path)
    study, series, instance = uids_of(data)
    path = {
        "study": f"/studies/{study}",
        "series": f"/studies/{study}/series/{series}",
        "instance": f"/studies/{study}/series/{series}/instances/{instance}",
    }[level]
    assert client.call("DELETE", path).status_code < 300
    assert kept(tmp_path) == []


def test_what_was_made_while_its_instance_was_deleted_is_not_kept(tmp_path):
    known = {BlobRef("default", "here"), BlobRef("default", "going")}
    cache = DerivedCache(tmp_path / "frames", 1 << 20, lambda refs: known & set(refs))

    def make():
        known.remove(BlobRef("default", "going"))
        return b"a frame"

    assert cache.get(BlobRef("default", "here"), "1", lambda: b"another") == b"another"
    before = sorted((tmp_path / "frames").rglob("*"))
    assert before
    assert cache.get(BlobRef("default", "going"), "1", make) == b"a frame"
    after = sorted((tmp_path / "frames").rglob("*"))
    assert [path for path in after if path.is_file()] == [p for p in before if p.is_file()]


@pytest.fixture
def nodes(tmp_path):
    """Two nodes of one archive, each with caches of its own."""
    shared = {
        "StorageDirectory": str(tmp_path / "files"),
        "Index": {"Url": f"sqlite:///{tmp_path / 'index.sqlite'}"},
    }
    return [shared | {"IndexDirectory": str(tmp_path / name)} for name in "ab"]


def test_a_sweep_forgets_what_another_node_deleted_and_keeps_the_rest(nodes, tmp_path):
    gone, stays = grey(), grey()
    with temporary_app(tmp_path / "1", nodes[0]) as a, temporary_app(tmp_path / "2", nodes[1]) as b:
        first, second = Client(a.test_client()), Client(b.test_client())
        first.stored(gone, stays)
        fill(second, stays)
        wanted = kept(tmp_path / "b")
        fill(second, gone)
        assert len(kept(tmp_path / "b")) == 2 * len(wanted)
        first.call("DELETE", f"/{path_of(gone)}")
        assert len(kept(tmp_path / "b")) == 2 * len(wanted)
        context_of(b).services.housekeeper.sweep()
        assert kept(tmp_path / "b") == wanted


def test_a_sweep_forgets_answers_that_have_changed_since(nodes, tmp_path):
    data = grey(PatientName="Before^It")
    with temporary_app(tmp_path / "1", nodes[0]) as a, temporary_app(tmp_path / "2", nodes[1]) as b:
        Client(a.test_client()).stored(data)
        fill(Client(b.test_client()), data)
        study = uids_of(data)[0]
        Client(a.test_client()).stored(grey(StudyInstanceUID=study, SOPInstanceUID=new_uid()))
        answers = [path for path in kept(tmp_path / "b") if ".json" in path.name]
        assert len(answers) == 4
        context_of(b).services.housekeeper.sweep()
        left = [path for path in kept(tmp_path / "b") if ".json" in path.name]
        assert len(left) == 2, "those of the series, which is as it was"


def test_a_running_server_sweeps_by_itself(nodes, tmp_path):
    data = grey()
    config = nodes[1] | {"CacheSweepSeconds": 1}
    with temporary_app(tmp_path / "1", nodes[0]) as app:
        other = Client(app.test_client())
        other.stored(data)
        with RunningServer(config, folder=tmp_path / "2", workers=2) as server:
            url = f"{server.origin}/dicom-web/{path_of(data)}/rendered"
            assert httpx.get(url).status_code == 200
            assert kept(tmp_path / "b")
            other.call("DELETE", f"/{path_of(data)}")
            until = time.monotonic() + 30
            while kept(tmp_path / "b") and time.monotonic() < until:
                time.sleep(0.1)
            assert kept(tmp_path / "b") == []


@pytest.mark.dicomweb_config({"MaximumPatientCount": 1})
def test_a_patient_who_made_room_leaves_nothing(client, tmp_path):
    first = grey(PatientID="first")
    client.stored(first)
    fill(client, first)
    assert kept(tmp_path)
    client.stored(grey(PatientID="second"))
    assert client.get(f"/{path_of(first)}/metadata").status_code == 404
    assert kept(tmp_path) == []


@pytest.mark.dicomweb_config({"OverwriteInstances": "Always"})
def test_what_was_replaced_is_kept_nowhere(client, tmp_path):
    data = grey(PatientName="Before^It")
    client.stored(data)
    fill(client, data)
    study, series, instance = uids_of(data)
    same = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": instance}
    client.stored(grey(PatientName="After^It", **same))
    assert kept(tmp_path) == []


def test_caches_that_are_switched_off_are_emptied(tmp_path):
    data = grey()
    with temporary_app(tmp_path) as app:
        client = Client(app.test_client())
        client.stored(data)
        fill(client, data)
    assert kept(tmp_path)
    off = {"DicomWeb": {"EnableMetadataCache": False}, "FrameCacheSizeMB": 0}
    with temporary_app(tmp_path, off) as app:
        fill(Client(app.test_client()), data)
        context_of(app).services.housekeeper.sweep()
    assert kept(tmp_path) == []


def test_a_sweep_removes_folders_without_content(client, tmp_path):
    """The size of a cache is that of its files: folders would become more and more."""
    data = grey()
    client.stored(data)
    fill(client, data)
    for path in kept(tmp_path):
        if path.name != "made-of":
            path.unlink()
    context_of(client.flask.application).services.housekeeper.sweep()
    left = [path for path in tmp_path.rglob("cache/*/*/*") if ".locks" not in str(path)]
    assert left == []


def test_a_deletion_meanwhile_is_no_trouble_of_the_cache(tmp_path, caplog):
    known = {BlobRef("default", "going")}
    cache = DerivedCache(tmp_path / "frames", 1 << 20, lambda refs: known & set(refs))
    ref = BlobRef("default", "going")
    assert cache.get(ref, "1", lambda: b"a frame") == b"a frame"
    write = Path.write_bytes

    def deleted_just_then(path, data):
        count = write(path, data)
        cache.forget(ref)
        return count

    with patch.object(Path, "write_bytes", deleted_just_then):
        assert cache.get(ref, "2", lambda: b"another") == b"another"
    assert caplog.messages == []
