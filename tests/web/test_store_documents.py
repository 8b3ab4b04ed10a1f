"""STOW-RS of metadata with encapsulated documents (PS3.18, 8.7.3; PS3.3, A.45 and C.24.2)."""

import base64

import pytest

from tests.web.metadata_bodies import OCTETS
from tests.web.test_store_metadata import MISMATCH, data_set, post, refused, stored

STORAGE = "1.2.840.10008.5.1.4.1.1.104."
KINDS = {
    "1": "application/pdf",
    "2": "text/XML",
    "3": "model/stl",
    "4": "model/obj",
    "5": "model/mtl",
}


def document(**more):
    return data_set(x00420011={"vr": "OB", "BulkDataURI": "doc"}, **more)


@pytest.mark.parametrize("kind", ["application/pdf", "text/xml", "model/stl", "model/obj", "model/mtl"])  # fmt: skip
def test_documents(client, kind):
    one = document()
    assert post(client, [one], ("doc", b"%PDF1", kind)).status_code == 200
    file = stored(client, one)
    assert file.EncapsulatedDocument == b"%PDF1\0"
    assert file.MIMETypeOfEncapsulatedDocument == kind
    assert file.EncapsulatedDocumentLength == 5


@pytest.mark.parametrize(
    "wrong",
    [
        {"x00420012": {"vr": "LO", "Value": ["text/xml"]}},
        {"x00420015": {"vr": "UL", "Value": [9]}},
    ],
)
def test_documents_that_are_something_else(client, wrong):
    part_ = ("doc", b"%PDF1", "application/pdf")
    refused(client, document(**wrong), part_, reason=MISMATCH, words="Encapsulated Document")


def test_the_type_of_a_cda_document_is_written_in_many_ways(client):
    one = document(x00420012={"vr": "LO", "Value": ["text/XML"]})
    assert post(client, [one], ("doc", b"<a/>", "text/xml; charset=utf-8")).status_code == 200


def of_class(number, **more):
    return document(x00080016={"vr": "UI", "Value": [STORAGE + number]}, **more)


def mime(value):
    return {"vr": "LO", "Value": [value]}


@pytest.mark.parametrize("number", KINDS)
@pytest.mark.parametrize("named", [True, False])
def test_the_sop_class_tells_the_type_of_a_document(client, number, named):
    one = of_class(number)
    kind = KINDS[number] if named else OCTETS
    assert post(client, [one], ("doc", b"x", kind)).status_code == 200
    assert stored(client, one).MIMETypeOfEncapsulatedDocument == KINDS[number]


def test_a_document_among_the_metadata(client):
    inline = {"vr": "OB", "InlineBinary": base64.b64encode(b"%PDF").decode()}
    one = of_class("1") | {"00420011": inline}
    assert post(client, [one]).status_code == 200
    assert stored(client, one).MIMETypeOfEncapsulatedDocument == "application/pdf"


@pytest.mark.parametrize(
    ("more", "kind", "words"),
    [
        ({}, "text/xml", "a part of the type text/xml, and instances of the SOP class"),
        ({"x00420012": mime("application/pdf")}, "model/stl", "104.1 have application/pdf"),
        ({"x00420012": mime("model/obj")}, OCTETS, "Document is model/obj, and instances of the"),
        ({"x00420012": mime("text/xml")}, "application/pdf", "Document is text/xml, its part has"),
    ],
)
def test_a_document_that_its_sop_class_does_not_allow(client, more, kind, words):
    refused(client, of_class("1", **more), ("doc", b"x", kind), reason=MISMATCH, words=words)


def test_a_document_among_the_metadata_that_its_sop_class_does_not_allow(client):
    inline = {"vr": "OB", "InlineBinary": base64.b64encode(b"%PDF").decode()}
    one = of_class("3", x00420012=mime("application/pdf")) | {"00420011": inline}
    refused(client, one, reason=MISMATCH, words="104.3 have model/stl")
