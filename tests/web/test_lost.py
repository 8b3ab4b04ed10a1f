"""Files, folders and databases that vanish under a running server: nothing is said to be safe."""

import logging

import pytest

from dicomweb_server.config import ConfigError
from dicomweb_server.services.frames import FrameService
from dicomweb_server.testing.apps import temporary_app
from dicomweb_server.testing.dicom import make_instance, make_study, path_of

RAW = "application/dicom; transfer-syntax=*"
MULTIPART = 'multipart/related; type="application/dicom"; transfer-syntax=*'


@pytest.fixture
def instances(tmp_path, client):
    """The folder of the blobs; lists them when called."""

    def blobs():
        return [path for path in tmp_path.rglob("instances/*/*/*") if path.is_file()]

    return blobs


@pytest.mark.parametrize("harm", ["cut", "deleted"])
@pytest.mark.parametrize(
    "mode",
    [
        pytest.param(mode, marks=pytest.mark.dicomweb_config({"OverwriteInstances": mode}))
        for mode in ("Never", "IfChanged")
    ],
)
def test_sending_again_mends_what_was_lost(client, instances, harm, mode):
    data = make_instance()
    client.stored(data)
    (blob,) = instances()
    if harm == "cut":
        blob.write_bytes(data[:100])
    else:
        blob.unlink()
    assert client.store(data).status_code == 200
    assert client.original(data).data == data
    assert len(instances()) == 1


@pytest.mark.parametrize("accept", [RAW, MULTIPART, "application/dicom", None])
def test_a_cut_file_is_never_sent_as_if_it_were_whole(client, instances, accept):
    data = make_instance()
    client.stored(data)
    (blob,) = instances()
    blob.write_bytes(data[:200])
    answer = client.get(f"/{path_of(data)}", accept)
    assert answer.status_code == 503
    assert "200 bytes" in answer.json["Details"]


def test_a_storage_that_vanished_takes_nothing(client, instances, tmp_path):
    data = make_instance()
    client.stored(data)
    folder = instances()[0].parents[2]
    folder.rename(tmp_path / "unmounted")
    assert client.store(make_instance()).status_code == 503
    assert client.store(data).status_code == 503
    assert client.flask.get("/health/ready").status_code == 503
    assert not folder.exists()
    (tmp_path / "unmounted").rename(folder)
    assert client.original(data).data == data
    assert client.flask.get("/health/ready").status_code == 200


def test_an_index_that_vanished_takes_nothing(client, tmp_path):
    data = make_instance()
    client.stored(data)
    (index,) = tmp_path.rglob("index.sqlite")
    kept = index.with_name("kept.sqlite")
    index.rename(kept)
    for answer in (
        client.store(make_instance()),
        client.get("/studies"),
        client.call("DELETE", f"/{path_of(data)}"),
        client.flask.get("/health/ready"),
    ):
        assert answer.status_code == 503
        assert "index.sqlite" in answer.get_data(as_text=True)
    assert not index.exists()
    kept.rename(index)
    assert client.original(data).data == data


def test_an_empty_disk_does_not_start_as_an_empty_archive(tmp_path):
    with temporary_app(tmp_path, {}) as app:
        app.test_client().post(
            "/dicom-web/studies", data=make_instance(), content_type="application/dicom"
        )
    (folder,) = tmp_path.rglob("instances")
    folder.rename(tmp_path / "unmounted")
    folder.mkdir()
    with pytest.raises(ConfigError, match="mounted"), temporary_app(tmp_path, {}):
        pass


def test_a_storage_that_is_in_use_must_be_configured(tmp_path):
    with temporary_app(tmp_path, {}) as app:
        app.test_client().post(
            "/dicom-web/studies", data=make_instance(), content_type="application/dicom"
        )
    other = {"Storages": {"other": {"Path": "other"}}, "DefaultStorage": "other"}
    refused = pytest.raises(ConfigError, match="'default'.*configured are other")
    with refused, temporary_app(tmp_path, other):
        pass


def test_a_deletion_that_leaves_files_says_so(client, instances, monkeypatch, caplog):
    data = make_study(instances=2, series=1)
    client.stored(*data)
    folder = instances()[0].parent

    def refuse(*_):
        raise PermissionError(1, "not permitted")

    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    with caplog.at_level(logging.WARNING, "dicomweb_server"):
        answer = client.call("DELETE", f"/{path_of(data[0]).split('/series')[0]}")
    assert answer.status_code == 204
    assert "2 files" in answer.headers["Warning"]
    assert len(list(folder.iterdir())) == 2


def test_the_access_log_has_one_line_without_query_for_each_request(client, caplog):
    logger = logging.getLogger("dicomweb_server.access")
    logger.addHandler(caplog.handler)
    with caplog.at_level(logging.INFO, "dicomweb_server.access"):
        client.get("/x%0d%0aFAKE%20LINE")
        client.get("/studies%3FPatientName=secret")
    logger.removeHandler(caplog.handler)
    lines = [record.getMessage() for record in caplog.records]
    assert not any("\n" in line or "\r" in line or "?" in line for line in lines)
    assert any("%0D%0AFAKE" in line for line in lines)


PLACES = [
    ("{}/frames/1", "image/jls"),
    ("{}/frames/1", "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"),
    ("{}/frames/1/rendered", "image/png"),
    ("{}/rendered", "image/jpeg"),
    ("{}/thumbnail", "image/jpeg"),
    ("{}", "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.80"),
    ("{}", "application/dicom; transfer-syntax=1.2.840.10008.1.2.2"),
    ("/wado?requestType=WADO&objectUID=1.1.1.1", "image/jpeg"),
]


def delete_after(monkeypatch, client, data):
    """Whoever has found the pixel data of the instance finds it deleted a moment later."""
    find = FrameService.image

    def image(self, record):
        found = find(self, record)
        client.call("DELETE", f"/{path_of(data)}")
        return found

    monkeypatch.setattr(FrameService, "image", image)


@pytest.mark.parametrize(("place", "accept"), PLACES)
def test_what_is_deleted_while_it_is_read_is_not_there(
    client, instances, monkeypatch, tmp_path, place, accept
):
    data = make_instance(
        pixels=bytes(64),
        Rows=8,
        Columns=8,
        StudyInstanceUID="1.1",
        SeriesInstanceUID="1.1.1",
        SOPInstanceUID="1.1.1.1",
    )
    client.stored(data)
    delete_after(monkeypatch, client, data)
    path = place.format(f"/dicom-web/{path_of(data)}")
    answer = client.flask.get(path, headers={"Accept": accept}, buffered=True)
    assert answer.status_code == 404, answer.text
    assert str(tmp_path) not in answer.text


def test_where_lost_bytes_should_be_is_for_the_log_alone(client, instances, tmp_path, caplog):
    data = make_instance()
    client.stored(data)
    (blob,) = instances()
    blob.unlink()
    answer = client.get(f"/{path_of(data)}", RAW)
    assert answer.status_code == 503
    assert "dicomweb-server check" in answer.json["Details"]
    assert str(tmp_path) not in answer.get_data(as_text=True)
    assert blob.name in caplog.text
