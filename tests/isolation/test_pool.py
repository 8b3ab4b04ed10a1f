"""Helpers do tasks, and what goes wrong in one costs its task alone."""

import os
import resource
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from dicomweb_server.config import Config
from dicomweb_server.imaging import Image, ImageFormat, pack
from dicomweb_server.interfaces.codecs import Codec, CodecError
from dicomweb_server.interfaces.provider import Settings
from dicomweb_server.isolation import Busy, Crashed, Inline, Limits, Pool, Toolbox, TooSlow
from dicomweb_server.isolation.tasks import Source
from dicomweb_server.testing.frames import make_format, make_image

SYNTAX = "1.2.3.4"
FORM = make_format(12)


class Moody(Codec):
    """A codec that does what the frame says, as a damaged one makes a bad library do it."""

    name = "moody"
    decodes = frozenset({SYNTAX})

    def decode(self, frame, transfer_syntax, form, *, reduce=0):
        order = bytes(frame)
        if order == b"crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif order == b"hang":
            time.sleep(60)
        elif order == b"grow":
            np.ones(1 << 31, np.uint8).sum()
        elif order == b"raise":
            raise ZeroDivisionError("secret of the server")
        elif order == b"damaged":
            raise CodecError("The frame is damaged.")
        return Image(np.full(form.shape, os.getpid() & 0xFFF, form.dtype), form)


TOOLS = Toolbox([Moody(Settings(Config({}, {}, Path.cwd()), {}))], [])
ARGUMENTS = {"source": Source(FORM, SYNTAX).as_document()}


@pytest.fixture
def pool():
    made = Pool(TOOLS, 2, Limits(memory=512 << 20, seconds=1.5))
    yield made
    made.close()


def pid_of(result):
    return int(np.frombuffer(result[1], "<u2")[0])


def test_a_task_is_done_elsewhere(pool):
    told, data = pool.run("decode", ARGUMENTS, b"please")
    assert ImageFormat(**told["form"]) == FORM
    assert len(data) == FORM.array_bytes
    assert pid_of((told, data)) != os.getpid() & 0xFFF


def test_a_worker_may_have_more_than_1024_files_open():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2048:
        pytest.skip(f"this system allows no more than {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    pool = Pool(TOOLS, 1, Limits(memory=512 << 20, seconds=5))
    try:
        _, data = pool.run("decode", ARGUMENTS, b"please")
        assert len(data) == FORM.array_bytes
    finally:
        pool.close()
        for each in opened:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_inline_gives_the_same():
    image = make_image(FORM)
    source = {"source": Source(FORM).as_document()}
    told, data = Inline(TOOLS).run("decode", source, pack(image))
    assert ImageFormat(**told["form"]) == FORM
    assert data == pack(image)


def test_helpers_are_used_again(pool):
    assert len({pid_of(pool.run("decode", ARGUMENTS, b"x")) for _ in range(10)}) == 1


@pytest.mark.parametrize(
    ("order", "kind", "sentence"),
    [
        (b"crash", Crashed, "fail"),
        (b"hang", TooSlow, "1.5 seconds"),
        (b"grow", CodecError, "memory"),
        (b"raise", CodecError, "ZeroDivisionError"),
        (b"damaged", CodecError, "damaged"),
    ],
)
def test_a_bad_frame_costs_its_own_task(pool, order, kind, sentence):
    for _ in range(3):
        with pytest.raises(kind, match=sentence) as caught:
            pool.run("decode", ARGUMENTS, order)
        assert "secret" not in str(caught.value)
        assert pool.run("decode", ARGUMENTS, b"good")


def test_a_helper_that_somebody_killed_costs_no_task(pool):
    before = pool.run("decode", ARGUMENTS, b"good")
    os.kill(pool._idle[0].pid, signal.SIGKILL)
    assert pid_of(pool.run("decode", ARGUMENTS, b"good")) != pid_of(before)


def test_others_go_on_while_one_hangs(pool):
    with ThreadPoolExecutor(2) as threads:
        stuck = threads.submit(pool.run, "decode", ARGUMENTS, b"hang")
        time.sleep(0.1)
        for _ in range(20):
            pool.run("decode", ARGUMENTS, b"good")
        assert not stuck.done()
        with pytest.raises(TooSlow):
            stuck.result()


def test_more_tasks_than_helpers_wait_their_turn():
    pool = Pool(TOOLS, 2, Limits())
    with ThreadPoolExecutor(16) as threads:
        results = list(threads.map(lambda _: pool.run("decode", ARGUMENTS, b"x"), range(64)))
    assert len({pid_of(result) for result in results}) <= 2
    pool.close()


def test_waiting_has_an_end():
    pool = Pool(TOOLS, 1, Limits(seconds=0.4))
    pool.run("decode", ARGUMENTS, b"good")
    pool._limits = Limits(seconds=5)

    def hang():
        with pytest.raises(TooSlow):
            pool.run("decode", ARGUMENTS, b"hang")

    thread = threading.Thread(target=hang)
    thread.start()
    time.sleep(0.1)
    pool._limits = Limits(seconds=0.2)
    with pytest.raises(Busy):
        pool.run("decode", ARGUMENTS, b"good")
    thread.join()
    pool.close()


def test_nothing_is_left_when_it_is_closed(pool):
    pool.run("decode", ARGUMENTS, b"good")
    template = pool._template._process.pid
    pool.close()
    with pytest.raises(ProcessLookupError):
        os.kill(template, 0)


def test_it_starts_again_when_the_template_was_killed(pool):
    pool.run("decode", ARGUMENTS, b"good")
    os.kill(pool._template._process.pid, signal.SIGKILL)
    with pytest.raises(Crashed):
        pool.run("decode", ARGUMENTS, b"crash")
    assert pool.run("decode", ARGUMENTS, b"good")


def test_large_results_come_whole():
    form = ImageFormat(6000, 6000, 1, 16, 16, 15)
    pool = Pool(TOOLS, 1, Limits())
    arguments = {"source": Source(form, SYNTAX).as_document()}
    assert len(pool.run("decode", arguments, b"x")[1]) == 72_000_000
    pool.close()
