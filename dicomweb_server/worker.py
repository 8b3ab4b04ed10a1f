"""A gunicorn worker of threads that stays with a connection for a moment.

gunicorn's own thread worker hands a connection back to its main loop after each answer, which
wakes up twice before a thread sees the next request: for small answers that costs as much as
everything else. A viewer that asks for the next thing at once is served by the same thread here.
"""

from __future__ import annotations

import select
import ssl
from typing import Any

from gunicorn import util
from gunicorn.http.body import Body, LengthReader
from gunicorn.http.errors import ParseException
from gunicorn.workers.gthread import ThreadWorker

from dicomweb_server.http.errors import FORESEEN, BrokenBody
from dicomweb_server.http.silence import limit_silence
from dicomweb_server.web.connections import Farewells, JsonErrors
from dicomweb_server.web.environ import Environments
from dicomweb_server.web.sending import JoinedResponse

LINGER_MILLISECONDS = 3
"""How long a thread waits for the next request of its connection."""
RECEIVE_BYTES = 1 << 18
"""Bytes that are received from the socket at once."""
_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})


class LargeReads:
    """A body that is read in the pieces that are asked for; gunicorn's own goes by kilobytes.

    What came before a connection broke is given out first, since it may hold whole instances: the
    read after that raises.
    """

    def __init__(self, request: Any) -> None:
        self._reader = request.body.reader
        self._broken: Exception | None = None
        self._read = self._by_length if type(self._reader) is LengthReader else self._chunked
        self.close_connection = request.force_close
        """Announces, before the answer begins, that the connection ends with it."""

    def read(self, size: int) -> bytes:
        """`size` bytes, fewer only at the end; raises `BrokenBody` when the body broke before it.

        That is when the connection ended, or when what came is not framed as RFC 9112 7.1 says.
        """
        try:
            if self._broken is not None:
                raise self._broken
            return self._read(size)
        except ParseException as error:
            self.close_connection()
            sentence = f"the body is not framed as its headers say: {error}"
            raise BrokenBody(sentence) from error
        except OSError as error:
            self.close_connection()
            raise BrokenBody(str(error) or "the connection broke") from error

    def _chunked(self, size: int) -> bytes:
        try:
            data: bytes = self._reader.read(size)
        except Exception as error:
            pending = getattr(self._reader, "buf", None)
            if pending is None or not pending.tell():
                raise
            self._broken, data = error, pending.getvalue()
        return data

    def _by_length(self, size: int) -> bytes:
        size = min(size, self._reader.length)
        pieces: list[bytes] = []
        missing = size
        while missing > 0:
            try:
                piece = self._reader.unreader.read()
            except Exception as error:
                if not pieces:
                    raise
                self._broken = error
                break
            if not piece:
                break
            pieces.append(piece)
            missing -= len(piece)
        if missing < 0:
            last = pieces[-1]
            pieces[-1] = last[:missing]
            self._reader.unreader.unread(last[missing:])
        self._reader.length -= size - max(missing, 0)
        return b"".join(pieces)


def freeze(settings: Any) -> None:
    """Make gunicorn's settings plain attributes: looking them up is a tenth of a small request."""
    for name, setting in settings.settings.items():
        vars(settings).setdefault(name, setting.get())


class LingeringThreadWorker(ThreadWorker):  # type: ignore[misc]
    """`gthread`, but for who takes the next request of a connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.alive: bool
        freeze(self.cfg)
        self._environments = Environments(self.cfg)
        self._farewells = Farewells(lambda: self.poller)

    def handle(self, conn: Any) -> Any:
        """Serve requests of one connection as long as they follow each other closely."""
        if not conn.initialized:
            # Who begins a request and falls silent must not keep a thread for ever.
            limit_silence(conn.sock, self.cfg.timeout)
        result = super().handle(conn)
        if result is True:
            self._environments.prepare(conn)
        while result is True and self._follows(conn):
            result = super().handle(conn)
        return result

    def handle_request(self, req: Any, conn: Any) -> bool:
        """Serve one request; whether the connection may be used for another.

        Large reads of its body are fast, and the head of the answer waits for its body.
        """
        if req.method not in _WITHOUT_BODY and type(req.body) is Body:
            req.body = LargeReads(req)
            req.unreader.mxchunk = RECEIVE_BYTES
        environ: dict[str, Any] = {}
        answer = None
        try:
            self.cfg.pre_request(self, req)
            answer, environ = self._environments.begin(req, conn, JoinedResponse)
            self._count(answer)
            self._answer(answer, environ)
            return not answer.should_close()
        except OSError:
            raise
        except (Exception, SystemExit) as error:
            if answer is None or not answer.headers_sent:
                raise
            # A second answer within the first would not be understood.
            if isinstance(error, FORESEEN):
                self.log.error("%s %s was broken off: %s", req.method, req.path, error)
            else:
                self.log.exception("Error handling request")
            util.close_graceful(conn.sock)
            raise StopIteration from None
        finally:
            self._tell_hook(req, environ, answer)

    def _count(self, answer: JoinedResponse) -> None:
        """Note one request more, and whether the connection ends with its answer."""
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
        full = len(self.keepalived_conns) >= self.max_keepalived
        if not self.alive or not self.cfg.keepalive or full:
            answer.force_close()

    def _answer(self, answer: JoinedResponse, environ: dict[str, Any]) -> None:
        """Run the application and send what it answers."""
        pieces = self.wsgi(environ, answer.start_response)
        try:
            if isinstance(pieces, environ["wsgi.file_wrapper"]):
                answer.write_file(pieces)
            else:
                for piece in pieces:
                    answer.write(piece)
            answer.close()
        finally:
            if hasattr(pieces, "close"):
                pieces.close()

    def _tell_hook(self, req: Any, environ: dict[str, Any], answer: Any) -> None:
        try:
            self.cfg.post_request(self, req, environ, answer)
        except Exception:
            self.log.exception("Exception in post_request hook")

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        """Whether another request may follow; what was not read of this one is read first."""
        reader: Any = getattr(conn.parser.mesg.body, "reader", None)
        if keepalive and type(reader) is LengthReader and reader.length == 0:
            conn.parser.mesg = None  # or the parser would look for the rest of it again
            return True
        return bool(super()._keepalive_after(conn, keepalive))

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Refuse what is not HTTP as the application refuses everything: with a JSON document."""
        super().handle_error(req, JsonErrors(client, req), addr, exc)

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Take a connection back from its thread; one that ends is parted from without waiting.

        gunicorn would wait on the main loop, where it serves nobody else, until the client closes.
        """
        if fs.cancelled() or fs.exception() is not None or fs.result() is not False:
            super().finish_request(conn, fs)
            return
        self.nr_conns -= 1
        self._farewells.add(conn.sock)

    def murder_keepalived(self, *args: Any, **kwargs: Any) -> None:
        """End what has waited long enough; gunicorn's releases differ in what they pass."""
        super().murder_keepalived(*args, **kwargs)
        self._farewells.end_late_ones()

    def set_accept_enabled(self, enabled: bool) -> None:
        """At the end of the worker idle connections end too: gunicorn waits for them in vain.

        Its end of the listening sockets is closed at once: as long as it is open, the kernel takes
        connections in that nobody will serve. New workers have ends of their own.
        """
        super().set_accept_enabled(enabled)
        if not self.alive:
            for listener in () if enabled else self.sockets:
                listener.close()
            for conn in (*self.keepalived_conns, *self.pending_conns):
                conn.timeout = 0.0
            self.murder_keepalived()
            self.murder_pending()

    def _follows(self, conn: Any) -> bool:
        """Whether the next request is there, or comes before anybody else needs the thread."""
        if not self.alive or conn.is_http2:
            return False
        if isinstance(conn.sock, ssl.SSLSocket) and conn.sock.pending():
            return True  # decrypted already: nobody else would see that it is there
        if not self.tpool._work_queue.empty():
            return False
        if conn.parser.unreader.buf.getvalue():
            return True
        poller = getattr(conn, "lingering", None)
        if poller is None:
            poller = conn.lingering = select.poll()
            poller.register(conn.sock, select.POLLIN)
        return bool(poller.poll(LINGER_MILLISECONDS))
