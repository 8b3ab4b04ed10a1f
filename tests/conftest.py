"""What all tests share: a client that speaks DICOMweb to an application in this process."""

import json
from pathlib import Path

import pytest

from dicomweb_server.testing.dicom import multipart_body, path_of, split_multipart

pytest_plugins = ("tests.postgresql",)
ROOT = "/dicom-web"
JSON = "application/dicom+json"


class Client:
    """Requests as a DICOMweb client makes them; paths are below the root."""

    def __init__(self, flask_client):
        self.flask = flask_client

    def call(self, method, path, **options):
        """The answer to any request; `headers` as a dictionary, `body` as bytes."""
        options["data"] = options.pop("body", None)
        return self.flask.open(ROOT + path, method=method, **options)

    def get(self, path, accept=None, **headers):
        """The answer to GET; header names with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if accept is not None:
            named["Accept"] = accept
        return self.call("GET", path, headers=named)

    def post(self, body, content_type, path="/studies", **headers):
        """The answer to a store request with any body."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.call("POST", path, body=body, content_type=content_type, headers=named)

    def store(self, *files, path="/studies", **layout):
        """The answer to storing files; `layout` as for `multipart_body`."""
        return self.post(*multipart_body(files, **layout), path=path)

    def stored(self, *files):
        """Store files that must be taken."""
        answer = self.store(*files)
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return answer.json

    def taken(self, path):
        """Store a file that need not be taken: then the test is skipped; the path of its instance."""
        if self.store(Path(path).read_bytes()).status_code != 200:
            pytest.skip("this file is not taken")
        (found,) = self.found("/instances")
        return found["00081190"]["Value"][0].partition(ROOT)[2]

    def found(self, path="/studies", **keys):
        """The matches of a search."""
        answer = self.flask.get(ROOT + path, query_string=keys)
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return json.loads(answer.data)

    def original(self, data):
        """The answer for the stored bytes of an instance."""
        return self.get(f"/{path_of(data)}", "application/dicom; transfer-syntax=*")


def parts(answer):
    """The bytes of the parts of a multipart answer."""
    return [data for _, data in split_multipart(answer.data, answer.content_type)]


def values(answers, tag):
    """The first value of a tag in each of the answers; None where there is none."""
    return [answer.get(tag, {}).get("Value", [None])[0] for answer in answers]


@pytest.fixture
def client(dicomweb_client):
    return Client(dicomweb_client)
