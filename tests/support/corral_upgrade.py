"""Both ends of an upgraded connection, for tests: a server of our own in the place of a model's,
and as much of WebSocket (RFC 6455) as two honest ends need."""

import base64
import hashlib
import os
import select
import socket
import struct

from corral_http import Connection

WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n"


class Accepted(Connection):
    """The server's side of a connection."""

    def __init__(self, accepted, deadline=20.0):
        self.deadline, self.socket = deadline, accepted
        self.socket.settimeout(deadline)
        self.buffer, self.eof = b"", False

    def read_request(self):
        """The bytes of the next request's head, up to its empty line."""
        return self._until(b"\r\n\r\n")


class RawUpstream:
    """A model whose server is the test itself: Corral starts a fake engine, and speaks to us. So it
    outlives the model, unlike a real one."""

    def __init__(self, yard, name="a", keys=None, **options):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(20)
        self.port = self.listener.getsockname()[1]
        more = {"proxy": f"http://127.0.0.1:{self.port}", "checkEndpoint": "none", **(keys or {})}
        self.engine = yard.engine(name, more, **options)

    def accept(self):
        """The next connection that says anything; Corral also looks whether we listen."""
        while True:
            accepted = Accepted(self.listener.accept()[0])
            if accepted.socket.recv(1, socket.MSG_PEEK):
                return accepted
            accepted.close()

    def close(self):
        self.listener.close()


def ask_upgrade(target, protocol="websocket", fields=(), method="GET"):
    """The bytes of a request that asks for another protocol."""
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", "Connection: keep-alive, Upgrade"]
    lines += [f"Upgrade: {protocol}"] + [f"{name}: {value}" for name, value in fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def open_tunnel(corral, target, **more):
    """A client behind its 101."""
    connection = corral.connect()
    connection.send(ask_upgrade(target, **more))
    head = connection.read_head()
    assert head.status == 101, head
    return connection


def exchange(connection, data):
    """Sends bytes through a tunnel that ends at an echo, and checks that they come back."""
    connection.send(data)
    assert connection._exactly(len(data)) == data


def is_broken(connection):
    """Whether the peer has reset the connection, without reading from it."""
    poller = select.poll()
    poller.register(connection.socket, 0)
    return bool(poller.poll(0))


def send_until_stuck(connection, most, patience=0.3):
    """Sends until the peer takes no more, or has gone; gives how many bytes went out."""
    sent, piece = 0, b"x" * 65536
    connection.socket.setblocking(False)
    while sent < most and select.select([], [connection.socket], [], patience)[1]:
        try:
            sent += connection.socket.send(piece)
        except ConnectionResetError:
            break
    connection.socket.settimeout(connection.deadline)
    return sent


def websocket_key():
    return base64.b64encode(os.urandom(16)).decode()


def websocket_accept(key):
    return base64.b64encode(hashlib.sha1(key.encode() + WEBSOCKET_GUID).digest()).decode()


def websocket_frame(opcode, payload, masked, last=True):
    """The bytes of one frame; a client's are masked."""
    head = bytes([(0x80 if last else 0) | opcode])
    size, bit = len(payload), 0x80 if masked else 0
    if size < 126:
        head += bytes([bit | size])
    elif size < 1 << 16:
        head += bytes([bit | 126]) + struct.pack(">H", size)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", size)
    if not masked:
        return head + payload
    key = os.urandom(4)
    return head + key + apply_mask(payload, key)


def apply_mask(payload, key):
    whole = (key * (len(payload) // 4 + 1))[: len(payload)]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(whole, "big")
    return mixed.to_bytes(len(payload), "big")


def read_websocket_frame(connection):
    """(opcode, payload, whether it was masked) of the next frame."""
    first, second = connection._exactly(2)
    size = second & 0x7F
    if size == 126:
        (size,) = struct.unpack(">H", connection._exactly(2))
    elif size == 127:
        (size,) = struct.unpack(">Q", connection._exactly(8))
    masked = bool(second & 0x80)
    key = connection._exactly(4) if masked else b""
    payload = connection._exactly(size)
    return first & 0x0F, apply_mask(payload, key) if masked else payload, masked
