"""An application that was closed leaves no file open."""

import os
from collections import Counter
from pathlib import Path

from dicomweb_server.testing.apps import temporary_app
from dicomweb_server.testing.dicom import make_instance, multipart_body


def open_files(folder):
    found = Counter()
    for each in Path("/proc/self/fd").iterdir():
        try:
            found[os.readlink(each)] += 1  # a Path loses " (deleted)"
        except FileNotFoundError:  # that of the listing itself
            continue
    return {name: count for name, count in found.items() if name.startswith(str(folder))}


def test_nothing_stays_open_when_an_application_is_closed(tmp_path):
    with temporary_app(tmp_path) as app:
        client = app.test_client()
        body, content_type = multipart_body([make_instance()])
        answer = client.post("/dicom-web/studies", data=body, content_type=content_type)
        assert answer.status_code == 200
        assert client.get("/dicom-web/studies").status_code == 200
        assert open_files(tmp_path)
    assert open_files(tmp_path) == {}
