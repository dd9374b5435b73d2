"""Upgraded connections: what a client and a model's server say to each other behind a 101 goes both
ways unchanged and ends as it ended; what is no upgrade stays a request."""

import json
import os
import re
import threading

import pytest
from corral_harness import poll_until
from corral_http import Closed, wait_briefly
from corral_measure import SANITIZED
from corral_processes import is_alive, kill_quietly, resident_bytes
from corral_upgrade import (
    SWITCH,
    RawUpstream,
    ask_upgrade,
    exchange,
    is_broken,
    open_tunnel,
    read_websocket_frame,
    send_until_stuck,
    websocket_accept,
    websocket_frame,
    websocket_key,
)


@pytest.fixture
def raw(yard):
    made = RawUpstream(yard)
    yield made
    made.close()


def switch(corral, upstream, target="/upstream/a/ws", protocol="websocket"):
    """Client and server, both behind the 101."""
    client = corral.connect().send(ask_upgrade(target, protocol))
    server = upstream.accept()
    server.read_request()
    server.send(SWITCH % protocol.encode())
    assert client.read_head().status == 101
    return client, server


def in_background(call, *arguments):
    thread = threading.Thread(target=call, args=arguments, daemon=True)
    thread.start()
    return thread


def tunnel_line(corral):
    """The fields of the log line of a tunnel that has ended."""
    line = poll_until(lambda: re.search(r"request .* status=101 .*", corral.log), what="its line")
    return dict(word.split("=", 1) for word in line.group(0).split()[1:])


def test_ten_megabytes_go_both_ways_at_once(yard, raw):
    """Guards: every byte arrives, in order, whatever the other direction does."""
    client, server = switch(yard.serve(), raw)
    up, down = os.urandom(10 << 20), os.urandom(10 << 20)
    senders = [in_background(client.send, up), in_background(server.send, down)]
    received = []
    reader = in_background(lambda: received.append(server._exactly(len(up))))
    assert client._exactly(len(down)) == down
    for thread in (*senders, reader):
        thread.join(20)
    assert received == [up]


@pytest.mark.parametrize("size", [5, 500_000])
def test_bytes_that_come_with_the_heads_are_not_lost(yard, raw, size):
    """Guards: a client that does not wait for the 101, and a server that goes on behind it."""
    corral = yard.serve()
    early, greeting = os.urandom(size), os.urandom(size)
    client = corral.connect()
    senders = [in_background(client.send, ask_upgrade("/upstream/a/ws") + early)]
    server = raw.accept()
    server.read_request()
    senders.append(in_background(server.send, SWITCH % b"websocket" + greeting))
    assert client.read_head().status == 101
    assert client._exactly(size) == greeting
    assert server._exactly(size) == early
    for thread in senders:
        thread.join(20)


def test_the_client_ends_its_side_and_the_server_goes_on(yard, raw):
    """Guards: a half-close is passed on as what it is, after every byte before it."""
    corral = yard.serve()
    client, server = switch(corral, raw)
    client.send(b"question").finish_sending()
    assert server.read_until_closed() == b"question"
    server.send(b"answer")
    assert client._exactly(6) == b"answer"
    server.close()
    assert client.read_until_closed() == b""
    line = tunnel_line(corral)
    assert (line["bytes"], line["bytes_in"], line["ended_by"]) == ("6", "8", "client")
    assert line["model"] == "a" and line["path"] == "/upstream/a/ws" and int(line["ms"]) >= 0


def test_the_server_ends_its_side_and_the_client_goes_on(yard, raw):
    """Guards: the same in the other direction."""
    corral = yard.serve()
    client, server = switch(corral, raw)
    server.send(b"last words").finish_sending()
    assert client.read_until_closed() == b"last words"
    client.send(b"and mine")
    assert server._exactly(8) == b"and mine"
    client.close()
    assert server.read_until_closed() == b""
    assert tunnel_line(corral)["ended_by"] == "upstream"


@pytest.mark.parametrize("who", ["client", "server"])
def test_a_reset_of_one_side_is_one_for_the_other(yard, raw, who):
    """Guards: an end that was none is not told as one, and no connection stays behind."""
    corral = yard.serve()
    client, server = switch(corral, raw)
    breaks, sees = (client, server) if who == "client" else (server, client)
    breaks.reset()
    with pytest.raises(ConnectionResetError):
        sees.socket.recv(1)
    assert tunnel_line(corral)["ended_by"] == ("client" if who == "client" else "upstream")
    assert corral.get("/running").json()["running"][0]["state"] == "ready"


@pytest.mark.parametrize("who", ["client", "server"])
def test_a_reset_is_seen_while_nobody_takes_the_bytes(yard, raw, who):
    """Guards: a tunnel that is stuck in one direction ends when that sender has gone."""
    client, server = switch(yard.serve(), raw)
    breaks, sees = (client, server) if who == "client" else (server, client)
    send_until_stuck(breaks, 256 << 20)
    breaks.reset()
    poll_until(lambda: is_broken(sees), what="the reset to arrive")


def test_a_receiver_that_waits_holds_up_its_sender(yard, raw):
    """Guards: back-pressure. What is not taken is not collected in Corral either."""
    corral = yard.serve()
    client, server = switch(corral, raw)
    before = resident_bytes(corral.server_pid)
    sent = send_until_stuck(client, 256 << 20)
    assert sent < 128 << 20, "nothing held the client up"
    assert SANITIZED or resident_bytes(corral.server_pid) - before < 2 << 20
    client.finish_sending()
    assert server.read_until_closed() == b"x" * sent


def test_a_quiet_tunnel_stays_open(yard):
    """Guards: no deadline of the request before it, and none of its own, ends a tunnel."""
    upstream = RawUpstream(yard, keys={"timeouts": {"responseHeader": 1}})
    spans = ("headTimeout", "bodyIdleTimeout", "keepAliveTimeout", "writeTimeout")
    corral = yard.serve(limits={**dict.fromkeys(spans, "0.4s"), "connectTimeout": "1s"})
    client, server = switch(corral, upstream)
    wait_briefly(1.5)
    for sender, receiver in ((client, server), (server, client)):
        sender.send(b"still here")
        assert receiver._exactly(10) == b"still here"
    upstream.close()


def test_a_tunnel_whose_server_has_left_ends_although_its_client_is_silent(yard):
    """Guards: a client that never closes does not hold a model for ever."""
    upstream = RawUpstream(yard)
    corral = yard.serve(limits={"bodyIdleTimeout": "0.3s"})
    client, server = switch(corral, upstream)
    server.close()
    assert client.read_until_closed() == b""
    assert tunnel_line(corral)["ended_by"] == "upstream"
    upstream.close()


def test_a_client_that_takes_nothing_is_given_up(yard):
    """Guards: limits.writeTimeout holds in a tunnel as in every answer."""
    upstream = RawUpstream(yard)
    corral = yard.serve(limits={"writeTimeout": "0.3s"})
    client, server = switch(corral, upstream)
    send_until_stuck(server, 256 << 20)
    poll_until(lambda: is_broken(server), what="the tunnel to end")
    assert tunnel_line(corral)["ended_by"] == "client"
    client.close()
    upstream.close()


def test_an_engine_that_dies_ends_its_tunnels(yard):
    """Guards: a client sees its model's death; the next one gets a new process."""
    engine = yard.engine("a", upgrade=True)
    corral = yard.serve()
    client = open_tunnel(corral, "/upstream/a/ws")
    exchange(client, b"hello")
    kill_quietly(engine.starts[0])
    assert client.read_until_closed() == b""
    poll_until(lambda: not is_alive(engine.starts[0]), what="its end")
    exchange(open_tunnel(corral, "/upstream/a/ws"), b"again")
    assert len(engine.starts) == 2


@pytest.mark.parametrize(
    "answer",
    [
        SWITCH % b"h2c",
        SWITCH % b"websocket, h2c",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\n",
    ],
)
def test_a_switch_to_what_was_not_asked_for_is_502(yard, raw, answer):
    """Guards: no tunnel for a protocol that the client does not speak (RFC 9110 7.8)."""
    corral = yard.serve()
    client = corral.connect().send(ask_upgrade("/upstream/a/ws"))
    server = raw.accept()
    server.read_request()
    server.send(answer)
    assert client.read_response("GET").status == 502
    assert server.read_until_closed() == b""


@pytest.mark.parametrize("status", [200, 400, 426])
def test_a_server_that_does_not_switch_is_relayed(yard, raw, status):
    """Guards: an Upgrade is an offer. What came with it is the next request, not lost."""
    corral = yard.serve()
    client = corral.connect()
    client.send(ask_upgrade("/upstream/a/ws") + ask_upgrade("/upstream/a/again"))
    server = raw.accept()
    for path in (b"ws", b"again"):
        assert server.read_request().startswith(b"GET /" + path)
        server.send(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nno" % status)
        answer = client.read_response("GET")
        assert (answer.status, answer.body, answer.complete) == (status, b"no", True)
    assert client.request("GET", "/health").status == 200


KEPT_MAX = (1024 if SANITIZED else 24) << 10  # by a tunnel; a sanitizer keeps what was freed
UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
NO_UPGRADE = {
    "a body": b"POST /upstream/a/x HTTP/1.1\r\nHost: h\r\n%sContent-Length: 2\r\n\r\nhi" % UPGRADE,
    "a chunked body": b"POST /upstream/a/x HTTP/1.1\r\nHost: h\r\n%s"
    b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n" % UPGRADE,
    "HTTP/1.0": b"GET /upstream/a/x HTTP/1.0\r\nHost: h\r\n%s\r\n" % UPGRADE,
    "no Connection": b"GET /upstream/a/x HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n",
    "no Upgrade": b"GET /upstream/a/x HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n\r\n",
    "h2c without Connection": b"GET /upstream/a/x HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
}
H2C = {
    "GET": b"GET /upstream/a/x HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
    # As Java's HttpClient writes it.
    "POST": b"POST /upstream/a/x HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    b"Content-Length: 2\r\nHost: h\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n"
    b"Upgrade: h2c\r\nUser-Agent: Java-http-client/21.0.2\r\n\r\nhi",
}


@pytest.mark.parametrize("request_bytes", NO_UPGRADE.values(), ids=NO_UPGRADE.keys())
def test_what_is_no_upgrade_is_a_request_without_one(yard, request_bytes):
    """Guards: a model's server is never offered what the client cannot go on with."""
    engine = yard.engine("a", upgrade=True)
    corral = yard.serve()
    answer = corral.connect().send(request_bytes).read_response()
    assert answer.status in (200, 404) and answer.complete, answer
    ((head, _),) = engine.requests
    for unwanted in (b"\nupgrade:", b"\nconnection:", b"\nhttp2-settings:"):
        assert unwanted not in head.lower(), head


@pytest.mark.parametrize("sent", H2C.values(), ids=H2C.keys())
def test_an_offer_of_http_2_is_refused_or_left_out(yard, sent):
    """Guards: RFC 7540 3.2: HTTP/2 would pass by every check. The answer tells the way out, and
    h2cUpgrade: ignore is it for those who cannot change their client: after a reload."""
    engine = yard.engine("a", upgrade=True)
    corral = yard.serve()
    with corral.connect() as client:
        client.send(sent)
        answer = client.read_response()
        assert (answer.status, answer.field("Connection")) == (501, "close")
        assert "h2cUpgrade: ignore" in answer.error["message"], answer
        assert client.read_until_closed() == b""
    assert engine.requests == []
    assert "status=501" in corral.log

    corral.config_file.write_text(json.dumps(yard.config(h2cUpgrade="ignore")))
    assert corral.post("/api/config/reload").status == 200
    with corral.connect() as client:
        for _ in range(2):  # the connection goes on
            answer = client.send(sent).read_response()
            assert answer.status in (200, 404) and answer.complete, answer
    assert len(engine.requests) == 2
    for head, _ in engine.requests:
        for unwanted in (b"\nupgrade:", b"\nconnection:", b"\nhttp2-settings:"):
            assert unwanted not in head.lower(), head


def test_every_protocol_that_is_offered_reaches_the_server(yard, raw):
    """Guards: any protocol is tunnelled, not WebSocket alone, and the server chooses."""
    corral = yard.serve()
    client = corral.connect().send(ask_upgrade("/upstream/a/x", "irc/6.9, websocket, x"))
    server = raw.accept()
    assert b"\r\nUpgrade: irc/6.9, websocket, x\r\n" in server.read_request() + b"\r\n"
    server.send(SWITCH % b"irc/6.9" + b":hi")
    head = client.read_head()
    assert (head.status, head.field("Upgrade")) == (101, "irc/6.9")
    assert client._exactly(3) == b":hi"


def test_a_websocket_handshake_and_its_frames_pass_unchanged(yard, raw):
    """Guards: a real WebSocket: every field of its handshake as it was, frames of each size."""
    corral = yard.serve()
    key = websocket_key()
    fields = [
        ("Sec-WebSocket-Key", key),
        ("sec-websocket-version", "13"),
        ("Sec-WebSocket-Protocol", "chat,  superchat"),
        ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits=15"),
        ("Origin", "http://127.0.0.1"),
        ("Cookie", "a=b"),
    ]
    client = corral.connect().send(ask_upgrade("/upstream/a/ws?q=%20", fields=fields))
    server = raw.accept()
    lines = server.read_request().decode().split("\r\n")
    assert lines[0] == "GET /ws?q=%20 HTTP/1.1"
    for name, value in fields:
        assert f"{name}: {value}" in lines
    assert lines.count("Connection: Upgrade") == 1 and lines.count("Upgrade: websocket") == 1
    answer = [
        f"Sec-WebSocket-Accept: {websocket_accept(key)}",
        "Sec-WebSocket-Protocol: superchat",
    ]
    server.send((SWITCH % b"websocket")[:-2] + "\r\n".join(answer).encode() + b"\r\n\r\n")
    head = client.read_head()
    assert head.field("Sec-WebSocket-Accept") == websocket_accept(key)
    assert head.field("Sec-WebSocket-Protocol") == "superchat"
    assert (head.field("Connection"), head.field("Upgrade")) == ("Upgrade", "websocket")
    assert head.field("Content-Length") is None and head.field("Transfer-Encoding") is None

    for size in (0, 125, 126, 65535, 65536, 300_000):
        payload = os.urandom(size)
        client.send(websocket_frame(2, payload, masked=True))
        assert read_websocket_frame(server) == (2, payload, True)
        server.send(websocket_frame(2, payload, masked=False))
        assert read_websocket_frame(client) == (2, payload, False)
    server.send(websocket_frame(9, b"ping", masked=False))
    assert read_websocket_frame(client) == (9, b"ping", False)
    client.send(websocket_frame(10, b"ping", masked=True))
    assert read_websocket_frame(server) == (10, b"ping", True)
    client.send(websocket_frame(8, b"\x03\xe8", masked=True))
    assert read_websocket_frame(server) == (8, b"\x03\xe8", True)
    server.send(websocket_frame(8, b"\x03\xe8", masked=False)).close()
    assert read_websocket_frame(client) == (8, b"\x03\xe8", False)
    assert client.read_until_closed() == b""


@pytest.mark.parametrize(
    "target,seen",
    [
        ("/upstream/a/deep/ws?x=1", "/deep/ws?x=1"),
        ("/v1/audio/voices?model=a&x=1", "/v1/audio/voices?model=a&x=1"),
        ("/props?model=alias-a", "/props?model=alias-a"),
    ],
)
def test_routes_that_lead_to_a_model_lead_a_websocket_there(yard, target, seen):
    """Guards: an upgrade starts its model as every request does, by every route without a body."""
    engine = yard.engine("a", {"aliases": ["alias-a"]}, upgrade=True)
    corral = yard.serve()
    exchange(open_tunnel(corral, target), b"x" * 1000)
    ((head, _),) = engine.requests
    assert head.split(b"\r\n")[0] == f"GET {seen} HTTP/1.1".encode()


def test_an_upgrade_to_corral_itself_is_not_made(yard):
    """Guards: only models' servers switch; Corral's own routes answer as without the offer."""
    yard.engine("a")
    corral = yard.serve()
    client = corral.connect()
    for target in ("/health", "/v1/models", "/running"):
        answer = client.send(ask_upgrade(target)).read_response("GET")
        assert (answer.status, answer.complete) == (200, True)


def test_an_idle_tunnel_holds_no_buffers(yard):
    """Guards: after a burst each way, what a tunnel keeps is small."""
    yard.engine("a", {"concurrencyLimit": 1000}, upgrade=True)
    corral = yard.serve()
    burst = b"y" * (1 << 20)

    def open_one():
        client = open_tunnel(corral, "/upstream/a/ws")
        sender = in_background(client.send, burst)
        assert client._exactly(len(burst)) == burst
        sender.join(20)
        return client

    few = [open_one() for _ in range(20)]
    before = resident_bytes(corral.server_pid)
    many = [open_one() for _ in range(150)]
    each = (resident_bytes(corral.server_pid) - before) / len(many)
    assert each < KEPT_MAX, f"{each / 1024:.1f} KiB a tunnel"
    for client in (*few, *many):
        client.close()


def probed_connections(ports):
    """How many of these local ports' TCP connections have a keep-alive timer running."""
    count = 0
    with open("/proc/net/tcp") as table:
        for line in list(table)[1:]:
            words = line.split()
            local, timer = int(words[1].split(":")[1], 16), words[5].split(":")[0]
            count += local in ports and words[3] == "01" and timer == "02"
    return count


def test_the_silence_of_a_tunnel_is_probed(yard, raw):
    """Guards: a peer that vanished without a word does not keep its tunnel, and its model."""
    corral = yard.serve()
    idle = corral.connect()
    assert idle.request("GET", "/health").status == 200
    assert probed_connections({corral.port}) == 0
    client, server = switch(corral, raw)
    ours = {corral.port, server.socket.getpeername()[1]}
    poll_until(lambda: probed_connections(ours) == 2, what="both sides to be probed")
    client.close()
    idle.close()


def test_a_client_that_leaves_before_the_switch_is_noticed(yard, raw):
    """Guards: until its 101 an upgrade is a request: its end frees the model's server."""
    corral = yard.serve()
    client = corral.connect().send(ask_upgrade("/upstream/a/ws"))
    server = raw.accept()
    server.read_request()
    client.close()
    assert server.read_until_closed() == b""
    poll_until(lambda: "status=499" in corral.log, what="its line")


def test_a_peer_is_tunnelled_to(yard, raw):
    """Guards: another server's models speak WebSocket, too, with that server's own key."""
    corral = yard.serve(
        peers={
            "p1": {
                "proxy": f"http://127.0.0.1:{raw.port}/base",
                "models": ["pm"],
                "apiKey": "sk-peer",
            }
        }
    )
    client = corral.connect().send(ask_upgrade("/upstream/p1/pm/ws"))
    server = raw.accept()
    head = server.read_request().decode()
    assert head.startswith("GET /base/ws HTTP/1.1\r\n")
    assert "\r\nAuthorization: Bearer sk-peer" in head and "\r\nUpgrade: websocket" in head
    server.send(SWITCH % b"websocket" + b"hi")
    assert client.read_head().status == 101
    assert client._exactly(2) == b"hi"
    client.send(b"there").finish_sending()
    assert server.read_until_closed() == b"there"
    server.send(b"bye").close()
    assert client.read_until_closed() == b"bye"
    line = tunnel_line(corral)
    assert (line["bytes"], line["bytes_in"]) == ("5", "5")
    with pytest.raises(Closed):
        client._exactly(1)


def test_a_key_is_needed_for_an_upgrade(yard):
    """Guards: a WebSocket is no way around the API key."""
    engine = yard.engine("a", upgrade=True)
    corral = yard.serve(apiKeys=["sk-1"])
    client = corral.connect()
    assert client.send(ask_upgrade("/upstream/a/ws")).read_response("GET").status == 401
    assert engine.starts == []
    key = [("Authorization", "Bearer sk-1")]
    exchange(open_tunnel(corral, "/upstream/a/ws", fields=key), b"in")
    assert b"sk-1" not in engine.recorded
