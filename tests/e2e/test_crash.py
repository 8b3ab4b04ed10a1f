"""kill -9 at any moment loses nothing that was answered 200 and shows nothing half-done."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from dicomweb_server.testing.dicom import (
    make_instance,
    make_study,
    multipart_body,
    path_of,
    read,
    write_dataset,
)
from tests.commands import command

RAW = {"Accept": "application/dicom; transfer-syntax=*"}
THREADS = 4
ROUNDS = 4
BUDGET = 25.0


def post(client, server, files):
    """Whether the files were answered with 200."""
    body, content_type = multipart_body(files)
    try:
        answer = client.post(
            f"{server.url}studies", content=body, headers={"Content-Type": content_type}
        )
    except httpx.TransportError:
        return False
    return answer.status_code == 200


class Load:
    """Threads that store until the server is gone."""

    def __init__(self, server):
        self._server = server
        self.sent = []
        self.promised = []
        self.busy = threading.Event()
        self._lock = threading.Lock()

    def run(self, number):
        random.seed()
        with httpx.Client(timeout=30) as client:
            while True:
                files = make_study(
                    series=1,
                    instances=random.choice([1, 1, 3, 8]),
                    PatientID=f"P{number}",
                    pixels=bytes(random.choice([10, 10_000, 300_000])),
                )
                with self._lock:
                    self.sent += files
                if not post(client, self._server, files):
                    return
                with self._lock:
                    self.promised += files
                    if len(self.promised) > 4:
                        self.busy.set()


def check(server):
    done = command(server, "check")
    assert done.exit_code == 0, done.stdout + done.stderr
    first = done.stdout.splitlines()[-1]
    assert "0 with missing or wrong files, 0 contradictions" in first, done.stdout


@pytest.mark.slow
def test_killing_the_server_again_and_again(server):
    end = time.monotonic() + BUDGET
    promised, sent, rounds = [], [], 0
    while rounds < ROUNDS and (rounds < 3 or time.monotonic() < end):
        load = Load(server)
        with ThreadPoolExecutor(THREADS) as pool:
            running = [pool.submit(load.run, number) for number in range(THREADS)]
            assert load.busy.wait(30), server.log
            # The moment is random on purpose: within a commit, a flush, a read of a body.
            threading.Event().wait(random.uniform(0, 0.3))
            server.kill()
            for each in running:
                each.result(60)
        promised += load.promised
        sent += load.sent
        rounds += 1
        server.start()
    check(server)
    with httpx.Client(timeout=30) as client:
        for data in promised:
            answer = client.get(f"{server.url}{path_of(data)}", headers=RAW)
            assert answer.status_code == 200, "an instance that was answered 200 is lost"
            assert answer.content == data
        for data in sent:
            answer = client.get(f"{server.url}{path_of(data)}", headers=RAW)
            assert answer.status_code == 404 or answer.content == data
        found = client.get(f"{server.url}instances").json()
        assert {f["00080018"]["Value"][0] for f in found} <= {
            path_of(data).rpartition("/")[2] for data in sent
        }
        # What is counted is there.
        for study in client.get(f"{server.url}studies").json():
            uid = study["0020000D"]["Value"][0]
            metadata = client.get(f"{server.url}studies/{uid}/metadata").json()
            assert len(metadata) == study["00201208"]["Value"][0]
    assert len(promised) > rounds


@pytest.mark.slow
@pytest.mark.dicomweb_config({"OverwriteInstances": "Always"})
def test_killing_the_server_while_it_replaces_and_deletes(server):
    original = make_instance(Rows=0, pixels=bytes(50_000))
    versions = []
    for number in range(200):
        data_set = read(original)
        data_set.Rows = number + 1
        versions.append(write_dataset(data_set))
    url = f"{server.url}{path_of(original)}"
    for _ in range(3):
        confirmed, tried = [], []
        busy = threading.Event()

        def replace(confirmed=confirmed, tried=tried, busy=busy):
            with httpx.Client(timeout=30) as client:
                for data in versions:
                    tried.append(data)
                    if not post(client, server, [data]):
                        return
                    confirmed.append(data)
                    if len(confirmed) > 3:
                        busy.set()

        thread = threading.Thread(target=replace)
        thread.start()
        assert busy.wait(30), server.log
        threading.Event().wait(random.uniform(0, 0.2))
        server.kill()
        thread.join(60)
        server.start()
        answer = httpx.get(url, headers=RAW)
        assert answer.status_code == 200
        assert answer.content in (confirmed[-1], tried[-1])
        (metadata,) = httpx.get(f"{url}/metadata").json()
        assert metadata["00280010"]["Value"] == [read(answer.content).Rows]
        check(server)
        assert httpx.delete(url).status_code == 204
        server.kill()
        server.start()
        assert httpx.get(url, headers=RAW).status_code == 404
        check(server)


def test_a_killed_worker_is_replaced(server):
    import os
    import signal

    data = make_instance()
    with httpx.Client(timeout=30) as client:
        assert post(client, server, [data])
    before = server.workers()
    os.kill(before[0], signal.SIGKILL)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        now = server.workers()
        if len(now) == 2 and before[0] not in now:
            break
        threading.Event().wait(0.05)
    for _ in range(10):
        assert httpx.get(f"{server.url}{path_of(data)}", headers=RAW).content == data


def test_young_leftovers_are_left_and_old_ones_are_mended(server):
    import os

    data = make_instance()
    with httpx.Client(timeout=30) as client:
        assert post(client, server, [data])
    folder = next((server.folder / "data" / "instances").glob("*/*"))
    young, old = (folder / f"{digit * 32}" for digit in "ab")
    for path in (young, old):
        path.write_bytes(b"left by a crash")
    os.utime(old, (1_000_000_000, 1_000_000_000))
    found = command(server, "check")
    assert found.exit_code == 1
    assert old.name in found.stdout
    assert young.name not in found.stdout
    assert command(server, "check", "--repair").exit_code == 0
    assert (young.exists(), old.exists()) == (True, False)
    assert command(server, "check").exit_code == 0
    next(path for path in folder.iterdir() if path.read_bytes() == data).unlink()
    lost = command(server, "check", "--repair")
    assert lost.exit_code == 1
    assert "1 with missing or wrong files" in lost.stdout
