"""An upstream inside the test that goes by itself: a server of HTTP/1.1, with TLS or without, whose
connections can be counted and whose behaviour is a function of the test. And certificates for it.

    def answer(request, connection): connection.send(response(b"hello"))
    with Origin(answer, tls=authority.server_context()) as upstream: …

It speaks for itself, over bare sockets, as the client in corral_http does.
"""

import hashlib
import json
import socket
import ssl
import subprocess
import threading


class Authority:
    """A certificate authority that the test's Corral trusts through `environment`."""

    def __init__(self, folder, name="test authority"):
        self.folder = folder / name.replace(" ", "-")
        self.folder.mkdir()
        self.certificate, self.key = self.folder / "ca.pem", self.folder / "ca.key"
        openssl("req", "-x509", *NEW_KEY, "-keyout", self.key, "-out", self.certificate,
                "-subj", f"/CN={name}", "-days", "2")
        self.environment = {"SSL_CERT_FILE": str(self.certificate)}
        self.count = 0

    def issue(self, names="IP:127.0.0.1,DNS:localhost", days=2, own_signature=False):
        """Certificate and key for these names, as files."""
        self.count += 1
        place = self.folder / str(self.count)
        request, certificate, key = (place.with_suffix(x) for x in (".csr", ".pem", ".key"))
        openssl("req", "-new", *NEW_KEY, "-keyout", key, "-out", request, "-subj", "/CN=server",
                "-addext", f"subjectAltName={names}")
        signer = ["-key", key] if own_signature else [
            "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial"]
        openssl("x509", "-req", "-in", request, "-out", certificate, *signer, "-days", days,
                "-copy_extensions", "copyall")
        return certificate, key

    def server_context(self, *arguments, **more):
        """What a server with such a certificate needs."""
        certificate, key = self.issue(*arguments, **more)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context


NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def openssl(*words):
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


class Request:
    def __init__(self, head, body):
        first, *lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = first.split(" ")
        self.fields = {}
        for line in lines:
            name, value = line.split(": ", 1)
            assert name.lower() not in self.fields, line
            self.fields[name.lower()] = value
        self.body = body


class Served:
    """One connection of the upstream, as its answer function sees it."""

    def __init__(self, sock, number):
        self.socket, self.number, self.buffer = sock, number, b""
        self.requests = 0

    def send(self, data):
        self.socket.sendall(data)

    def close(self, announced=False):
        """Ends it; with TLS, saying so before, or not."""
        try:
            if announced and isinstance(self.socket, ssl.SSLSocket):
                self.socket.settimeout(5)
                self.socket.unwrap()
        except OSError:
            pass
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _more(self):
        piece = self.socket.recv(65536)
        self.buffer += piece
        return bool(piece)

    def _line(self):
        while b"\r\n" not in self.buffer:
            if not self._more():
                return None
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def _exactly(self, count):
        while len(self.buffer) < count:
            if not self._more():
                return None
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def read_request(self):
        """The next request, or None when the other side has ended."""
        while b"\r\n\r\n" not in self.buffer:
            if not self._more():
                return None
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        request = Request(head, b"")
        if request.fields.get("transfer-encoding") == "chunked":
            pieces = []
            while size := int(self._line(), 16):
                pieces.append(self._exactly(size))
                assert self._exactly(2) == b"\r\n"
            assert self._line() == b""
            request.body = b"".join(pieces)
        else:
            request.body = self._exactly(int(request.fields.get("content-length", 0)))
        self.requests += 1
        return None if request.body is None else request


class Origin:
    """Listens on a port of its own, or on a Unix socket. `answer(request, connection)` is called
    for each request but GET /health, in a thread of its connection. `ended` counts the connections
    that the other side has ended while they were idle."""

    def __init__(self, answer=None, tls=None, path=None):
        self.answer, self.tls, self.path = answer or echo, tls, path
        self.accepts = self.ended = 0
        self.requests, self.handshake_errors = [], []
        self.lock, self.open = threading.Lock(), []
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(path))
            self.listener.listen(128)
        else:
            self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
            self.port = self.listener.getsockname()[1]
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def url(self, base="", host="127.0.0.1"):
        if self.path:
            return f"unix://{self.path}"
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{base}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.drop_all()
        for thread in self.threads:
            thread.join(10)

    def drop_all(self):
        """Ends every connection from this side."""
        with self.lock:
            connections, self.open = self.open, []
        for connection in connections:
            connection.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.accepts += 1
                thread = threading.Thread(target=self._serve, args=(sock, self.accepts),
                                          daemon=True)
                self.threads.append(thread)
            thread.start()

    def _serve(self, sock, number):
        with sock:
            try:
                if not self.path:
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self.tls:
                    sock = self.tls.wrap_socket(sock, server_side=True)
            except OSError as error:
                with self.lock:
                    self.handshake_errors.append(str(error))
                return
            with sock:
                self._converse(Served(sock, number))

    def _converse(self, connection):
        with self.lock:
            self.open.append(connection)
        try:
            while (request := connection.read_request()) is not None:
                if request.target.endswith("/health"):
                    connection.send(response(b"ok"))
                    continue
                with self.lock:
                    self.requests.append(request)
                self.answer(request, connection)
        except OSError:
            pass
        finally:
            with self.lock:
                self.ended += 1
                if connection in self.open:
                    self.open.remove(connection)


def response(body=b"", status="200 OK", fields=()):
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", *fields]
    lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def stream_head(content_type="text/event-stream"):
    return (f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n"
            "Transfer-Encoding: chunked\r\n\r\n").encode()


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def echo(request, connection):
    """What came, by its length and hash, and on which connection."""
    connection.send(response(json.dumps({
        "target": request.target, "bytes": len(request.body),
        "sha256": hashlib.sha256(request.body).hexdigest(), "connection": connection.number,
    }).encode()))
