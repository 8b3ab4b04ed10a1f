"""STOW-RS: what is stored, what is refused, and that neither is ever hidden."""

import io
import json
from xml.etree import ElementTree

import pytest

from dicomweb_server import hookimpl
from dicomweb_server.interfaces.index import IndexUnavailable
from dicomweb_server.interfaces.storage import StorageError, StorageFull
from dicomweb_server.testing.dicom import (
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    make_instance,
    make_study,
    multipart_body,
    new_uid,
    path_of,
    split_multipart,
    uids_of,
)

STORED, FAILED, OTHER, REASON = "00081199", "00081198", "0008119A", "00081197"
CANNOT_UNDERSTAND, PROCESSING, FULL = 0xC000, 0x0110, 0xA700


def sequence(document, tag):
    return document.get(tag, {}).get("Value", [])


def stored_uids(document):
    return [item["00081155"]["Value"][0] for item in sequence(document, STORED)]


def failures(document):
    """UID and reason of those that were identified; None and reason of the others."""
    known = [(i["00081155"]["Value"][0], i[REASON]["Value"][0]) for i in sequence(document, FAILED)]
    return known + [(None, i[REASON]["Value"][0]) for i in sequence(document, OTHER)]


def sops(*files):
    return [uids_of(data)[2] for data in files]


# --- bodies that are taken -----------------------------------------------------------------


@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"lengths": False},
        {"newline": b"\n"},
        {"newline": b"\n", "lengths": False},
        {"preamble": b"This is a message in MIME format.\r\n"},
        {"epilogue": b"\r\nThat was all.\r\n"},
        {"preamble": b"a", "epilogue": b"b", "lengths": False},
        {"part_type": None},
        {"part_type": "APPLICATION/DICOM"},
        {"part_type": 'application/dicom; transfer-syntax="1.2.840.10008.1.2.1"'},
        {"boundary": "a" * 70},
        {"boundary": "0123456789'()+_,-./:=?"},
    ],
    ids=str,
)
def test_bodies_of_real_clients_are_taken(client, layout):
    files = make_study(series=1, instances=3)
    body, content_type = multipart_body(files, **layout)
    if layout.get("boundary", "").endswith("?"):
        content_type = content_type.replace(layout["boundary"], f'"{layout["boundary"]}"')
    answer = client.post(body, content_type)
    assert answer.status_code == 200, answer.data
    assert stored_uids(json.loads(answer.data)) == sops(*files)
    for data in files:
        assert client.original(data).data == data


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/related; type="application/dicom"; boundary="B"',
        "multipart/related; type=application/dicom; boundary=B",
        "multipart/related; boundary=B; type=application/dicom",
        "multipart/related;boundary=B",
        "Multipart/Related; Boundary=B; Type=application/dicom; start=x",
        'multipart/related;  type = "application/dicom" ; boundary = "B"',
    ],
)
def test_content_types_of_real_clients_are_taken(client, content_type):
    body, _ = multipart_body([make_instance()], boundary="B")
    assert client.post(body, content_type).status_code == 200


def test_a_single_instance_needs_no_multipart(client):
    data = make_instance()
    answer = client.post(data, "application/dicom")
    assert answer.status_code == 200
    assert stored_uids(json.loads(answer.data)) == sops(data)
    assert client.original(data).data == data


def test_a_chunked_body_is_taken(client):
    files = make_study()
    body, content_type = multipart_body(files, lengths=False)
    answer = client.call(
        "POST",
        "/studies",
        input_stream=io.BytesIO(body),
        content_type=content_type,
        environ_overrides={"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"},
    )
    assert answer.status_code == 200
    assert len(stored_uids(json.loads(answer.data))) == 6


def test_bytes_that_look_like_boundaries_are_kept(client):
    traps = b"\r\n--example-boundar\r\n\r\n--example-boundaryX\r\n\r\n\r\n--\n--example" * 20
    data = make_instance(pixels=traps + bytes(len(traps) % 2))
    assert client.store(data, lengths=True).status_code == 200
    assert client.original(data).data == data


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, DEFLATED])
def test_every_uncompressed_syntax_is_kept_as_it_is(client, syntax):
    data = make_instance(transfer_syntax=syntax, pixels=bytes(1000))
    client.stored(data)
    assert client.original(data).data == data


def test_many_instances_in_one_request(client):
    files = make_study(series=3, instances=50)
    assert len(stored_uids(client.stored(*files))) == 150
    assert client.found()[0]["00201208"]["Value"] == [150]


# --- bodies that lose something ------------------------------------------------------------


def cut(files, keep):
    """A body whose last part is cut, with its Content-Type."""
    body, content_type = multipart_body(files)
    return body[: body.rindex(files[-1][:200]) + keep], content_type


def test_a_body_that_ends_in_a_part_stores_what_was_whole(client):
    files = make_study(series=1, instances=3)
    answer = client.post(*cut(files, 300))
    assert answer.status_code == 202
    document = json.loads(answer.data)
    assert stored_uids(document) == sops(*files[:2])
    assert {reason for _, reason in failures(document)} == {CANNOT_UNDERSTAND}
    assert client.original(files[2]).status_code == 404


def test_a_body_that_ends_in_its_only_part_is_refused(client):
    answer = client.post(*cut([make_instance()], 300))
    assert answer.status_code == 400
    assert client.found() == []


def test_a_body_shorter_than_its_content_length(client):
    files = make_study(series=1, instances=2)
    body, content_type = multipart_body(files)
    answer = client.call(
        "POST",
        "/studies",
        input_stream=io.BytesIO(body[:-400]),
        content_type=content_type,
        environ_overrides={"CONTENT_LENGTH": str(len(body))},
    )
    assert answer.status_code == 202
    assert stored_uids(json.loads(answer.data)) == sops(files[0])


def test_a_single_instance_shorter_than_its_content_length(client):
    data = make_instance(pixels=bytes(1000))
    answer = client.call(
        "POST",
        "/studies",
        input_stream=io.BytesIO(data[:-10]),
        content_type="application/dicom",
        environ_overrides={"CONTENT_LENGTH": str(len(data))},
    )
    assert answer.status_code == 400
    assert client.found() == []


def test_a_missing_final_boundary_is_told(client):
    files = make_study(series=1, instances=2)
    answer = client.store(*files, closed=False)
    assert answer.status_code == 202
    document = json.loads(answer.data)
    assert len(stored_uids(document)) + len(failures(document)) >= 2
    assert failures(document)
    for uid in stored_uids(document):
        data = next(data for data in files if uids_of(data)[2] == uid)
        assert client.original(data).data == data


def test_a_missing_final_boundary_without_lengths(client):
    answer = client.store(make_instance(), make_instance(), closed=False, lengths=False)
    assert answer.status_code == 202
    assert len(stored_uids(json.loads(answer.data))) == 1


def test_garbage_between_parts_is_told(client):
    files = make_study(series=1, instances=2)
    body, content_type = multipart_body(files)
    at = body.index(b"\r\n--example", 30) + 2
    answer = client.post(body[:at] + b"garbage\r\n" + body[at:], content_type)
    assert answer.status_code == 202
    document = json.loads(answer.data)
    assert failures(document)
    for data in files:
        listed = uids_of(data)[2] in stored_uids(document)
        assert (client.original(data).status_code == 200) is listed


@pytest.mark.parametrize("difference", [-10, 10, 10**9])
def test_a_part_with_a_wrong_content_length_fails_alone(client, difference):
    files = make_study(series=1, instances=3)
    body, content_type = multipart_body(files)
    size = len(files[1])
    head, tail = body.split(files[0])
    tail = tail.replace(b"Length: %d" % size, b"Length: %d" % (size + difference), 1)
    answer = client.post(head + files[0] + tail, content_type)
    assert answer.status_code == 202
    document = json.loads(answer.data)
    assert failures(document)
    assert uids_of(files[0])[2] in stored_uids(document)
    assert client.original(files[1]).status_code in (200, 404)
    if client.original(files[1]).status_code == 200:
        assert client.original(files[1]).data == files[1]


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "image/jpeg", "not a type"])
def test_a_part_of_another_type_fails_alone(client, kind):
    files = make_study(series=1, instances=2)
    first, content_type = multipart_body(files[:1], closed=False)
    second, _ = multipart_body(files[1:], part_type=kind)
    answer = client.post(first + second, content_type)
    assert answer.status_code == 202
    document = json.loads(answer.data)
    assert stored_uids(document) == sops(files[0])
    assert [reason for _, reason in failures(document)] == [CANNOT_UNDERSTAND]


@pytest.mark.parametrize("junk", [b"", b"hello", bytes(200), b"\x89PNG\r\n" * 100, b"{}" * 500])
def test_what_is_not_dicom_fails_alone(client, junk):
    data = make_instance()
    answer = client.store(junk, data)
    assert answer.status_code == 202
    document = json.loads(answer.data)
    assert stored_uids(document) == sops(data)
    assert failures(document) == [(None, CANNOT_UNDERSTAND)]


@pytest.mark.parametrize("junk", [b"", b"hello", bytes(200)])
def test_nothing_but_junk_is_a_bad_request(client, junk):
    for answer in (client.store(junk), client.store(junk, junk)):
        assert answer.status_code == 400
        assert failures(json.loads(answer.data))
    assert client.post(junk, "application/dicom").status_code == 400


@pytest.mark.parametrize(
    "missing", ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"]
)
@pytest.mark.parametrize("how", [None, ""])
def test_an_instance_without_a_uid_is_refused_and_the_answer_says_which(client, missing, how):
    answer = client.store(make_instance(**{missing: how}))
    assert answer.status_code in (400, 409)
    assert missing in answer.headers["Warning"]
    assert client.found() == []


def test_a_truncated_file_is_refused(client):
    data = make_instance(pixels=bytes(5000))
    answer = client.store(data[:-100])
    assert answer.status_code == 400
    assert client.found() == []


@pytest.mark.parametrize("body", [b"", b"--example-boundary--\r\n", b"nothing of that kind"])
def test_a_body_without_parts_is_a_bad_request(client, body):
    _, content_type = multipart_body([])
    assert client.post(body, content_type).status_code == 400


# --- the study of the URL ------------------------------------------------------------------


def test_an_instance_of_the_study_is_taken(client):
    data = make_instance()
    answer = client.store(data, path=f"/studies/{uids_of(data)[0]}")
    assert answer.status_code == 200


def test_an_instance_of_another_study_is_a_conflict(client):
    data = make_instance()
    answer = client.store(data, path=f"/studies/{new_uid()}")
    assert answer.status_code == 409
    assert failures(json.loads(answer.data)) == [(uids_of(data)[2], PROCESSING)]
    assert client.found() == []


def test_instances_of_two_studies_for_one(client):
    here, there = make_instance(), make_instance()
    answer = client.store(here, there, path=f"/studies/{uids_of(here)[0]}")
    assert answer.status_code == 202
    document = json.loads(answer.data)
    assert stored_uids(document) == sops(here)
    assert failures(document) == [(uids_of(there)[2], PROCESSING)]


# --- again ---------------------------------------------------------------------------------


def test_sending_again_gives_the_same_answer(client):
    files = make_study()
    assert client.stored(*files) == client.stored(*files)
    assert client.found()[0]["00201208"]["Value"] == [6]


def test_the_same_instance_twice_in_one_request(client):
    data = make_instance()
    answer = client.store(data, data)
    assert answer.status_code == 200
    assert set(stored_uids(json.loads(answer.data))) == set(sops(data))


OVERWRITE = [("Never", 1), ("Always", 2), ("IfChanged", 2), (True, 2), (False, 1)]


@pytest.mark.parametrize(
    ("mode", "kept"),
    [
        pytest.param(*case, marks=pytest.mark.dicomweb_config({"OverwriteInstances": case[0]}))
        for case in OVERWRITE
    ],
)
def test_other_bytes_of_a_known_instance(client, mode, kept):
    uids = dict(
        zip(
            ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"),
            uids_of(make_instance()),
            strict=True,
        )
    )
    first, second = make_instance(Rows=1, **uids), make_instance(Rows=2, **uids)
    client.stored(first)
    etag = client.get(f"/{path_of(first)}/metadata").headers["ETag"]
    answer = client.store(second)
    assert answer.status_code == 200
    assert client.original(first).data == (first, second)[kept - 1]
    (found,) = json.loads(client.get(f"/{path_of(first)}/metadata").data)
    assert found["00280010"]["Value"] == [kept]
    changed = client.get(f"/{path_of(first)}/metadata").headers["ETag"] != etag
    assert changed is (kept == 2)


# --- the answer ----------------------------------------------------------------------------


def test_the_answer_names_where_everything_is(client):
    files = make_study(series=1, instances=2)
    document = client.stored(*files)
    study = uids_of(files[0])[0]
    assert document["00081190"] == {
        "vr": "UR",
        "Value": [f"http://localhost/dicom-web/studies/{study}"],
    }
    for item, data in zip(sequence(document, STORED), files, strict=True):
        assert item["00081150"] == {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.7"]}
        assert item["00081190"]["Value"] == [f"http://localhost/dicom-web/{path_of(data)}"]
    assert FAILED not in document
    assert OTHER not in document


def test_the_answer_says_where_to_find_what_was_stored(client):
    """The smallest resource that holds all of it (PS3.18 10.5.3.2)."""
    one, other = make_study(series=2, instances=2), make_instance()
    study, series, _ = uids_of(one[0])
    for files, place in (
        (one[:1], path_of(one[0])),
        (one[:2], f"studies/{study}/series/{series}"),
        (one, f"studies/{study}"),
        ([one[0], b"junk"], path_of(one[0])),
        ([one[0], other], "studies"),
    ):
        answer = client.store(*files)
        assert answer.headers["Location"] == f"http://localhost/dicom-web/{place}"
        assert answer.headers["Content-Location"] == answer.headers["Location"]
        assert client.get(f"/{place}").status_code == 200
    failed = client.store(b"junk")
    assert "Location" not in failed.headers
    assert "Content-Location" not in failed.headers


def test_a_warning_has_the_status_that_goes_with_it(client):
    answer = client.store(make_instance(), b"junk")
    assert answer.status_code == 202
    assert answer.headers["Warning"].startswith("299 http://localhost/dicom-web/: C000 ")
    conflict = client.store(make_instance(), path=f"/studies/{new_uid()}")
    assert conflict.headers["Warning"].startswith("299 http://localhost/dicom-web/: 0110 ")


@pytest.mark.parametrize("accept", [None, "*/*", "application/dicom+json", "application/json"])
def test_the_answer_is_json(client, accept):
    body, content_type = multipart_body([make_instance()])
    headers = {"Accept": accept} if accept else {}
    answer = client.post(body, content_type, **headers)
    assert answer.content_type == "application/dicom+json"
    assert json.loads(answer.data)


@pytest.mark.parametrize(
    "accept",
    [
        "application/dicom+xml",
        "application/json;q=0.1, application/dicom+xml",
        'multipart/related; type="application/dicom+xml"',
    ],
)
def test_the_answer_is_xml_for_who_wants_it(client, accept):
    data = make_instance()
    answer = client.post(*multipart_body([data, b"junk"]), Accept=accept)
    assert answer.status_code == 202
    document = answer.data
    if "multipart" in accept:
        ((headers, document),) = split_multipart(document, answer.content_type)
        assert headers["content-type"] == "application/dicom+xml"
    else:
        assert answer.content_type == "application/dicom+xml"
    root = ElementTree.fromstring(document)
    name = root.tag.partition("}")[0] + "}"
    assert root.tag == f"{name}NativeDicomModel"
    stored = next(e for e in root if e.get("tag") == STORED)
    uids = [e.findtext(f"{name}Value") for e in stored.iter(f"{name}DicomAttribute")]
    assert uids_of(data)[2] in uids
    assert any(e.get("tag") == OTHER for e in root)


def test_an_answer_that_cannot_be_had_is_told_before_anything_is_stored(client):
    answer = client.post(*multipart_body([make_instance()]), Accept="image/png")
    assert answer.status_code == 406
    assert "dicom+json" in answer.json["Details"]
    assert client.found() == []


# --- refusals ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/json",
        "application/dicom+json",
        "multipart/form-data; boundary=example-boundary",
        'multipart/related; type="application/pdf"; boundary=example-boundary',
        'multipart/related; type="image/jpeg"; boundary=example-boundary',
        "nonsense",
    ],
)
def test_other_media_types_are_415(client, content_type):
    body, _ = multipart_body([make_instance()])
    answer = client.call(
        "POST",
        "/studies",
        body=body,
        headers={"Content-Type": content_type} if content_type else {},
    )
    assert answer.status_code == 415
    assert "application/dicom" in answer.json["Details"]
    assert client.found() == []


@pytest.mark.parametrize("boundary", ["", "; boundary=", "; boundary=" + "a" * 300])
def test_a_message_without_a_usable_boundary_is_400(client, boundary):
    body, _ = multipart_body([make_instance()])
    answer = client.post(body, f'multipart/related; type="application/dicom"{boundary}')
    assert answer.status_code == 400


@pytest.mark.dicomweb_config({"MaximumRequestBodySizeMB": 1})
def test_a_body_that_says_it_is_too_large_is_413(client):
    answer = client.store(make_instance(pixels=bytes(2 << 20)))
    assert answer.status_code == 413
    assert "MaximumRequestBodySizeMB" in answer.json["Details"]
    assert answer.headers["Connection"] == "close"
    assert client.found() == []
    assert client.store(make_instance(pixels=bytes(1000))).status_code == 200


@pytest.mark.dicomweb_config({"MaximumRequestBodySizeMB": 1})
@pytest.mark.parametrize("size", [8 << 20, 1000])
def test_a_chunked_body_that_grows_too_large(client, size):
    small, large = make_instance(), make_instance(pixels=bytes(size))
    body, content_type = multipart_body([small, large], lengths=False)
    answer = client.call(
        "POST",
        "/studies",
        input_stream=io.BytesIO(body),
        content_type=content_type,
        environ_overrides={"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"},
    )
    stored = {data: client.original(data).status_code == 200 for data in (small, large)}
    if size == 1000:
        assert answer.status_code == 200
        assert all(stored.values())
        return
    assert not stored[large]
    assert answer.headers["Connection"] == "close"
    # How much was read before the limit was met decides whether anything could be stored.
    assert answer.status_code == (202 if stored[small] else 413)


@pytest.mark.dicomweb_config({"ReadOnly": True})
def test_a_server_for_reading_takes_nothing(client):
    answer = client.store(make_instance())
    assert answer.status_code == 405
    assert answer.headers["Allow"].split(",") == ["GET", "HEAD", "OPTIONS"]


# --- failing storages and databases --------------------------------------------------------


class Broken:
    """An extension with a storage that does what a test wants."""

    def __init__(self):
        from dicomweb_storage_memory import MemoryStore

        broken = self
        self.write_error = self.commit_error = None
        self.capacity = 10**12

        class Store(MemoryStore):
            name = "broken"

            def create(self):
                writer = super().create()
                write = writer.write

                def limited(data):
                    broken.capacity -= len(data)
                    if broken.write_error is not None:
                        raise broken.write_error
                    if broken.capacity < 0:
                        raise StorageFull("there is no room left")
                    write(data)

                writer.write = limited
                return writer

            def commit(self, writers):
                if broken.commit_error is not None:
                    raise broken.commit_error
                super().commit(writers)

        self.store = Store

    @hookimpl
    def register_storages(self):
        return [self.store]


class TestBrokenStorage:
    @pytest.fixture
    def broken(self):
        return Broken()

    @pytest.fixture
    def dicomweb_extensions(self, broken):
        return [("broken", broken)]

    @pytest.fixture
    def dicomweb_config(self):
        return {"Storages": {"default": {"Type": "broken"}}}

    @pytest.fixture
    def blobs(self, dicomweb_context):
        store = dicomweb_context.providers.storages["default"]
        return lambda: len(list(store.iterate()))

    @pytest.mark.parametrize("where", ["write_error", "commit_error"])
    def test_a_full_disk_is_507_and_leaves_nothing(self, client, broken, blobs, where):
        setattr(broken, where, StorageFull("there is no room left"))
        answer = client.store(make_instance())
        assert answer.status_code == 507
        document = json.loads(answer.data)
        assert [reason for _, reason in failures(document)] == [FULL]
        assert client.found() == []
        assert blobs() == 0

    @pytest.mark.parametrize("where", ["write_error", "commit_error"])
    def test_a_storage_that_fails_is_503_and_leaves_nothing(self, client, broken, blobs, where):
        setattr(broken, where, StorageError("the folder cannot be written to"))
        answer = client.store(make_instance())
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        assert "cannot be written" in answer.json["Details"]
        assert client.found() == []
        assert blobs() == 0

    def test_a_disk_that_fills_in_the_middle_is_202(self, client, broken, blobs):
        files = make_study(series=1, instances=3)
        broken.capacity = sum(len(data) for data in files[:2]) + 100
        answer = client.store(*files)
        assert answer.status_code == 202
        document = json.loads(answer.data)
        assert stored_uids(document) == sops(*files[:2])
        assert [reason for _, reason in failures(document)] == [FULL]
        assert blobs() == 2
        broken.capacity = 10**9
        assert client.store(*files).status_code == 200

    @pytest.mark.parametrize(
        ("error", "status"), [(IndexUnavailable("the database is locked"), 503)]
    )
    def test_a_database_that_fails_leaves_no_blobs(
        self, client, dicomweb_context, monkeypatch, blobs, error, status
    ):
        def fail(*_, **__):
            raise error

        monkeypatch.setattr(dicomweb_context.index, "add", fail)
        answer = client.store(make_instance())
        assert answer.status_code == status
        assert "locked" in answer.json["Details"]
        assert blobs() == 0

    def test_a_program_error_leaves_no_blobs_and_no_trace(
        self, client, dicomweb_context, monkeypatch, blobs
    ):
        def fail(*_, **__):
            raise ZeroDivisionError("secret detail")

        monkeypatch.setattr(dicomweb_context.index, "add", fail)
        answer = client.store(make_instance())
        assert answer.status_code == 500
        assert b"secret detail" not in answer.data
        assert b"Traceback" not in answer.data
        assert client.found() == []
        assert blobs() == 0
