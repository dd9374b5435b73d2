"""HTTP over a bare socket: exact bytes out, exact bytes back, nothing mended on the way.

Libraries repair what a proxy got wrong and refuse to send what a proxy must survive, so tests of
Corral speak for themselves. Every read has a deadline.
"""

import json
import socket
import ssl
import time


class Closed(Exception):
    """The peer ended the connection before the message was complete; `.got` is what came."""

    def __init__(self, got=b""):
        super().__init__(f"connection closed after {len(got)} more bytes: {got[:200]!r}")
        self.got = got


class Response:
    def __init__(self, status, reason, fields, version):
        self.status, self.reason, self.fields, self.version = status, reason, fields, version
        self.body = b""
        self.chunks = []
        self.complete = False  # ended as its framing says
        self.interim = []  # 1xx statuses that came before

    def field(self, name):
        values = self.all(name)
        return values[0] if values else None

    def all(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        """The `error` object of one of Corral's own error bodies."""
        document = self.json()
        assert document["src"] == "corral", document
        error = document["error"]
        assert set(error) >= {"message", "type", "param", "code"}, error
        return error

    def __repr__(self):
        return f"<Response {self.status} {self.fields} {self.body[:300]!r}>"


class Connection:
    """One client connection; a context manager."""

    def __init__(self, port, host="127.0.0.1", deadline=20.0, tls=None):
        """`host` may be the path of a Unix socket; `tls` is an ssl.SSLContext."""
        self.deadline = deadline
        if host.startswith("/"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(deadline)
            self.socket.connect(host)
        else:
            self.socket = socket.create_connection((host, port), timeout=deadline)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=host)
        self.buffer = b""
        self.eof = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes with RST instead of FIN."""
        linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)
        return self

    def try_send(self, data):
        """Like send, for a peer that may have closed already."""
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        return True

    def finish_sending(self):
        self.socket.shutdown(socket.SHUT_WR)

    def _receive(self):
        if self.eof:
            raise Closed(self.buffer)
        try:
            piece = self.socket.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            piece = b""
        if not piece:
            self.eof = True
            raise Closed(self.buffer)
        self.buffer += piece

    def _until(self, mark):
        while mark not in self.buffer:
            self._receive()
        line, self.buffer = self.buffer.split(mark, 1)
        return line

    def _exactly(self, count):
        pieces = []
        while count > len(self.buffer):
            pieces.append(self.buffer)
            count -= len(self.buffer)
            self.buffer = b""
            try:
                self._receive()
            except Closed:
                raise Closed(b"".join(pieces)) from None
        pieces.append(self.buffer[:count])
        self.buffer = self.buffer[count:]
        return b"".join(pieces)

    def read_head(self):
        """The next head, interim (1xx) ones included."""
        head = self._until(b"\r\n\r\n").decode("latin-1")
        first, *lines = head.split("\r\n")
        version, status, *reason = first.split(" ", 2)
        assert version.startswith("HTTP/1."), head
        fields = []
        for line in lines:
            assert line and line[0] not in " \t" and ":" in line, f"field line {line!r}"
            key, value = line.split(":", 1)
            fields.append((key, value.strip()))
        return Response(int(status), reason[0] if reason else "", fields, version)

    def read_response(self, method="POST"):
        """The next final response with its body. A cut body leaves `complete` False."""
        interim = []
        response = self.read_head()
        while 100 <= response.status < 200 and response.status != 101:
            interim.append(response.status)
            response = self.read_head()
        response.interim = interim
        self.read_body(response, method)
        return response

    def read_body(self, response, method="POST"):
        coding, length = response.all("Transfer-Encoding"), response.all("Content-Length")
        assert not (coding and length), f"both framings in {response}"
        assert len(length) < 2, f"two lengths in {response}"
        if method == "HEAD" or response.status in (204, 304):
            response.complete = True
            return
        try:
            if coding:
                assert [value.lower() for value in coding] == ["chunked"], response
                while (chunk := self.read_chunk()) != b"":
                    response.chunks.append(chunk)
                    response.body += chunk
                response.complete = True
            elif length:
                response.body = self._exactly(int(length[0]))
                response.complete = True
            else:
                while True:
                    self._receive()
        except Closed as closed:
            if not coding:
                response.body += closed.got
                self.buffer = b""
                response.complete = not length

    def read_chunk(self):
        """The next chunk's data; b"" is the last chunk, its trailers read."""
        size = int(self._until(b"\r\n").split(b";")[0], 16)
        if size == 0:
            while self._until(b"\r\n") != b"":
                pass
            return b""
        data = self._exactly(size)
        assert self._exactly(2) == b"\r\n"
        return data

    def read_until_closed(self):
        """Everything until the peer closes; fails when it does not within the deadline."""
        try:
            while True:
                self._receive()
        except Closed as closed:
            self.buffer = b""
            return closed.got

    def read_some_now(self):
        """What has come, or comes next; fails when the peer closes before."""
        if not self.buffer:
            self._receive()
        got, self.buffer = self.buffer, b""
        return got

    def is_closed(self):
        """True once the peer has closed, without waiting and without losing bytes."""
        self.socket.setblocking(False)
        try:
            while True:
                piece = self.socket.recv(65536)
                if not piece:
                    self.eof = True
                    return True
                self.buffer += piece
        except (BlockingIOError, InterruptedError, ssl.SSLWantReadError):
            return False
        except OSError:
            self.eof = True
            return True
        finally:
            self.socket.settimeout(self.deadline)

    def request(self, method, target, body=None, fields=()):
        """A clean request, and its response. A dict body is sent as JSON."""
        self.send(make_request(method, target, body, fields))
        return self.read_response(method)

    def has_bytes_within(self, seconds):
        """Whether the peer sends anything so soon. Only for showing that nothing came early."""
        if self.buffer:
            return True
        self.socket.settimeout(seconds)
        try:
            self._receive()
            return True
        except (TimeoutError, socket.timeout):
            return False
        except Closed:
            return True
        finally:
            self.socket.settimeout(self.deadline)


def make_request(method, target, body=None, fields=(), host="127.0.0.1"):
    """The bytes of one clean request. A body is said to be JSON unless a field says otherwise."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    names = {key.lower() for key, _ in fields}
    if isinstance(body, (dict, list)):
        body = json.dumps(body)
    if (body is not None or "content-length" in names) and "content-type" not in names:
        lines.append("Content-Type: application/json")
    if isinstance(body, str):
        body = body.encode()
    lines += [f"{key}: {value}" for key, value in fields]
    if body is not None and "transfer-encoding" not in names and "content-length" not in names:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b"")


def chunked(*pieces):
    """The pieces as a chunked body, each one chunk, with the last chunk."""
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (*pieces, b""))


def split_requests(recorded):
    """The requests that a fake engine recorded, as (head bytes, body bytes); Content-Length and
    chunked bodies are read as an honest server would. Fails on anything left over."""
    found = []
    while recorded:
        head, mark, recorded = recorded.partition(b"\r\n\r\n")
        assert mark, f"unfinished head reached the upstream: {head!r}"
        names = {}
        for line in head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            assert key.lower() not in (set(names) & {b"content-length", b"transfer-encoding"}), head
            names[key.lower()] = value.strip()
        body = b""
        if b"transfer-encoding" in names:
            assert b"content-length" not in names, head
            assert names[b"transfer-encoding"].lower() == b"chunked", head
            while True:
                size, mark, recorded = recorded.partition(b"\r\n")
                assert mark, "unfinished chunk reached the upstream"
                count = int(size, 16)
                body += recorded[:count]
                assert recorded[count : count + 2] == b"\r\n"
                recorded = recorded[count + 2 :]
                if count == 0:
                    break
        elif b"content-length" in names:
            count = int(names[b"content-length"])
            assert len(recorded) >= count, "unfinished body reached the upstream"
            body, recorded = recorded[:count], recorded[count:]
        found.append((head, body))
    return found


def wait_briefly(seconds):
    """A pause that no assertion depends on: it only makes a wrong program likelier to be caught."""
    time.sleep(seconds)
