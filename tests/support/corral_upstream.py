"""A model's server that the test plays itself, on bare sockets: it says each byte when the test
wants it, and sees each byte and each end of a connection as it comes.

fake_engine is for what goes by itself; this is for exact interleavings. Corral takes it for a local
model whose process is an idle `sleep` and whose address is this listener.
"""

import socket

from corral_harness import Yard
from corral_http import Closed, Connection


class Accepted(Connection):
    """The upstream's end of one connection that Corral made."""

    def __init__(self, accepted, deadline):  # not super().__init__, which connects
        self.deadline = deadline
        self.socket = accepted
        accepted.settimeout(deadline)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer, self.eof = b"", False

    def read_request_head(self):
        """The next request's line and its fields as (name, value) pairs."""
        first, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        return first, [tuple(line.split(": ", 1)) for line in lines]

    def read_request(self):
        """Line, fields by lower-case name, and body of the next request."""
        first, pairs = self.read_request_head()
        fields = {name.lower(): value for name, value in pairs}
        assert len(fields) == len(pairs), pairs
        assert not {"content-length", "transfer-encoding"} <= set(fields), fields
        body = b""
        if "transfer-encoding" in fields:
            while (chunk := self.read_chunk()) != b"":
                body += chunk
        elif "content-length" in fields:
            body = self._exactly(int(fields["content-length"]))
        return first, fields, body

    def read_some(self, count):
        """Exactly so many bytes of whatever comes."""
        return self._exactly(count)

    def answer(self, body=b"ok", status=b"200 OK", fields=b""):
        """A whole answer with its length."""
        head = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n" % (status, len(body), fields)
        return self.send(head + body)

    def wait_until_gone(self):
        """Everything that still came before the other side ended the connection. Fails when it
        does not end."""
        return self.read_until_closed()


class Upstream:
    """The listener. Close it, or use it as a context manager."""

    def __init__(self, deadline=20.0):
        self.deadline = deadline
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(deadline)
        self.accepted = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def port(self):
        return self.listener.getsockname()[1]

    def config(self, **keys):
        """A model's config: ready at once, answered by this listener."""
        proxy = f"http://127.0.0.1:{self.port}"
        return {"cmd": "sleep 1000000", "proxy": proxy, "checkEndpoint": "none", **keys}

    def accept(self):
        """The next connection that Corral makes."""
        connection = Accepted(self.listener.accept()[0], self.deadline)
        self.accepted.append(connection)
        return connection

    def has_another(self):
        """Whether a connection waits to be accepted, without waiting for one."""
        self.listener.setblocking(False)
        try:
            self.accept()
            return True
        except BlockingIOError:
            return False
        finally:
            self.listener.settimeout(self.deadline)

    def close(self):
        for connection in self.accepted:
            connection.close()
        self.listener.close()


__all__ = ["Accepted", "Closed", "Upstream"]


def serve_here_and_there(folder):
    """For a fixture of a module: a yard whose Corral has this server behind model `here` and behind
    peer model `there`. It must still work when the module's tests are over."""
    yard = Yard(folder)
    yard.upstream = Upstream()
    try:
        peer = {"proxy": f"http://127.0.0.1:{yard.upstream.port}", "models": ["there"]}
        yard.corral = yard.serve({"models": {"here": yard.upstream.config()}, "peers": {"p": peer}})
        assert yard.corral.post("/models/load", {"model": "here"}).status == 200
        while yard.upstream.has_another():  # Corral looked whether somebody listens
            pass
        yield yard
        assert yard.corral.get("/health").status == 200
    finally:
        yard.upstream.close()
        yard.close()


def leave_no_connection(yard):
    """For a fixture of a test: closes what the test left open on the server's side, so that nothing
    of it is used again."""
    yield yard
    for connection in yard.upstream.accepted:
        connection.close()
    assert not yard.upstream.has_another(), "a connection that nobody expected"
