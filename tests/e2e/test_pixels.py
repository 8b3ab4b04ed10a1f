"""Frames and pictures from the running server, whose frames are decoded by processes of their own."""

import os
import signal
import threading
import time
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from dicomweb_client import DICOMwebClient
from PIL import Image
from pydicom.data import get_testdata_file

from dicomweb_server.testing.dicom import (
    EXPLICIT,
    make_picture,
    multipart_body,
    path_of,
    read,
    uids_of,
)
from dicomweb_server.testing.frames import make_format, make_image
from dicomweb_server.testing.server import RunningServer

JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_2000 = "1.2.840.10008.1.2.4.91"
OCTETS = "application/octet-stream"


def processes(server):
    """Process id -> command line of all that the server started: they are one session."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if int(fields[3]) == server and fields[0] != "Z":
            found[int(folder.name)] = command
    return found


def helpers(server):
    """Processes that decode: those of the isolation that are forked from another one."""
    own = {
        pid for pid, command in processes(server).items() if "dicomweb_server.isolation" in command
    }
    return [
        pid
        for pid in own
        if int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) in own
    ]


@pytest.fixture
def stored(server):
    """A client, the UIDs of a stored JPEG 2000 image, and its data set."""
    data = Path(get_testdata_file("JPEG2000.dcm")).read_bytes()
    client = DICOMwebClient(server.url.rstrip("/"))
    client.store_instances([read(data)])
    return client, uids_of(data), read(data)


def test_a_client_gets_frames_and_pictures(stored):
    client, uids, data_set = stored
    (native,) = client.retrieve_instance_frames(*uids, [1])
    pixels = np.frombuffer(native, "<u2" if data_set.BitsAllocated == 16 else "u1")
    decoded = client.retrieve_instance(*uids, media_types=(("application/dicom", EXPLICIT),))
    assert np.array_equal(decoded.pixel_array.ravel(), pixels.view(decoded.pixel_array.dtype))
    (as_stored,) = client.retrieve_instance_frames(*uids, [1], media_types=((OCTETS, "*"),))
    assert bytes(as_stored[:4]) == b"\xff\x4f\xff\x51"  # SOC and SIZ (T.800, A.4.1)
    shape = (data_set.Columns, data_set.Rows)
    for media_type in ("image/png", "image/jpeg"):
        picture = client.retrieve_instance_rendered(*uids, media_types=(media_type,))
        assert Image.open(BytesIO(picture)).size == shape
    part = client.retrieve_instance_frames_rendered(*uids, [1], media_types=("image/png",))
    assert Image.open(BytesIO(part)).size == shape
    assert client.retrieve_series_rendered(*uids[:2], media_types=("image/png",))
    thumbnail = httpx.get(
        f"{client.base_url}/studies/{uids[0]}/thumbnail", headers={"Accept": "image/jpeg"}
    )
    assert max(Image.open(BytesIO(thumbnail.content)).size) == 128


def test_helpers_may_die_and_none_outlives_the_server(server, stored):
    client, uids, _ = stored
    (expected,) = client.retrieve_instance_frames(*uids, [1])
    path = f"{server.url}studies/{uids[0]}/series/{uids[1]}/instances/{uids[2]}"
    stop = threading.Event()
    answers = []

    def ask(number):
        with httpx.Client(timeout=60) as each:
            while not stop.is_set():
                # Another window each time: nothing of it is kept.
                query = f"window={len(answers) + 100},{number + 1},linear"
                answers.append(each.get(f"{path}/rendered?{query}"))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    killed = set()
    end = time.monotonic() + 30
    while len(killed) < 4 and time.monotonic() < end:
        for pid in helpers(server.process_id)[:1]:
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        stop.wait(0.2)
    stop.set()
    for thread in threads:
        thread.join(60)
    assert len(killed) == 4
    # A task whose helper is killed twice is given up.
    failed = [answer for answer in answers if answer.status_code != 200]
    assert len(failed) < len(answers) // 2
    assert all("fail" in answer.json()["Details"] for answer in failed)
    assert client.retrieve_instance_frames(*uids, [1]) == [expected]
    assert len(server.workers()) == 2

    pid = server.process_id
    assert any("dicomweb_server.isolation" in each for each in processes(pid).values())
    server.stop()
    # What has been told to end may still be on its way.
    end = time.monotonic() + 10
    while processes(pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert processes(pid) == {}


def test_what_is_broken_off_is_one_line_of_the_log(tmp_path):
    shape = {"rows": 1024, "columns": 1024}
    data = make_picture([make_image(make_format(16, **shape)) for _ in range(6)])
    with RunningServer({"TranscodingAheadMB": 1}, folder=tmp_path, workers=1) as server:
        url = f"{server.origin}/dicom-web"

        def store(file):
            body, content_type = multipart_body([file])
            headers = {"Content-Type": content_type}
            assert httpx.post(f"{url}/studies", content=body, headers=headers).status_code == 200

        def get(syntax):
            accept = f"application/dicom; transfer-syntax={syntax}"
            return httpx.get(f"{url}/{path_of(data)}", headers={"Accept": accept}, timeout=60)

        store(data)
        packed = get(JPEG_LS).content
        assert httpx.delete(f"{url}/{path_of(data)}").status_code == 204
        end = packed.rindex(b"\xff\xd9")
        store(packed[:end] + b"\0\0" + packed[end + 2 :])
        with pytest.raises(httpx.RemoteProtocolError):
            get(EXPLICIT)
        (line,) = [each for each in server.log.splitlines() if "broken off" in each]
        assert read(data).SOPInstanceUID in line
        assert "Traceback" not in server.log
