"""A TCP proxy that cuts a connection at a chosen message, as a failing network does."""

import contextlib
import socket
import threading


class Proxy:
    """Passes connections on to a port of this machine."""

    def __init__(self, port):
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.cuts = 0
        self.was_cut = threading.Event()
        self.refuse = False
        self._when = None
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, url):
        """The URL of a database by way of this proxy."""
        return url.replace(f":{self._target}/", f":{self.port}/")

    def cut(self, when, word, *, refuse=False):
        """Cut the next connection that sends `word`: before it is passed on, or after its effect.

        `unnoticed`: as before, but the server does not learn that nobody is there any more.

        `refuse`: no new connections are taken from then on.
        """
        self._when, self._word, self._then_refuse = when, word, refuse

    def close(self):
        self.refuse = True
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.refuse:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._target))
                for pair in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source, target, from_client):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if from_client and self._when is not None and self._word in data:
                    self._cut(data, target, source)
                    return
                target.sendall(data)
        _close(source, target)

    def _cut(self, data, server, client):
        when, self._when = self._when, None
        self.cuts += 1
        self.refuse = self._then_refuse
        self.was_cut.set()
        # First the client's side, so that no answer gets through.
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
        if when == "after":
            server.sendall(data)
        if when != "unnoticed":
            # The server reads what was sent before it sees the end.
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_WR)
        client.close()


def _close(*sockets):
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
