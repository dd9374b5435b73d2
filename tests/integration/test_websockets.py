"""What an open WebSocket counts for: everything that a request counts for, unless the model's
config says to ignore it (compat.ignoreWebsockets). Either way nothing waits for one without end."""

import json
import os
import re

import pytest
from corral_harness import poll_until
from corral_http import wait_briefly
from corral_processes import is_alive
from corral_upgrade import SWITCH, RawUpstream, ask_upgrade, exchange, open_tunnel

IGNORED = {"compat": {"ignoreWebsockets": True}}


def page(corral, model, **more):
    """A WebSocket behind /upstream, through which something has gone."""
    client = open_tunnel(corral, f"/upstream/{model}/ws", **more)
    exchange(client, b"hello")
    return client


def ended_by(corral):
    """Who ended each tunnel, by the log, oldest first."""
    return re.findall(r"status=101 .*ended_by=(\w+)", corral.log)


def test_the_ttl_does_not_fire_under_a_websocket(yard):
    """Guards: an open WebSocket is a request in flight; the TTL counts from its end."""
    engine = yard.engine("a", {"ttl": 1}, upgrade=True)
    corral = yard.serve()
    client = page(corral, "a")
    wait_briefly(2)
    exchange(client, b"still here")
    assert len(engine.starts) == 1 and is_alive(engine.starts[0])
    client.close()
    corral.wait_for_state("a", None)
    poll_until(lambda: ended_by(corral) == ["client"], what="its line")


def test_the_ttl_stops_a_model_under_an_ignored_websocket(yard):
    """Guards: an open page does not keep its model loaded, and sees it go."""
    engine = yard.engine("a", {"ttl": 1, **IGNORED}, upgrade=True)
    corral = yard.serve()
    assert corral.chat("a").status == 200
    client = page(corral, "a")
    assert client.read_until_closed() == b""
    corral.wait_for_state("a", None)
    assert not is_alive(engine.starts[0])
    poll_until(lambda: ended_by(corral) == ["corral"], what="its line")


def test_an_ignored_websocket_does_not_load_its_model(yard):
    """Guards: 409 on a model that is not ready, as llama-swap has it, and no start."""
    engine = yard.engine("a", IGNORED, upgrade=True)
    corral = yard.serve()
    with corral.connect() as client:
        for _ in range(2):
            answer = client.send(ask_upgrade("/upstream/a/ws")).read_response("GET")
            assert answer.status == 409
            assert answer.error["code"] == "conflict"
            assert "a is not loaded" in answer.error["message"]
    assert engine.starts == []
    assert corral.chat("a").status == 200
    page(corral, "a").close()


def test_an_ignored_websocket_does_not_wait_for_a_load(yard):
    """Guards: a model that is starting is not ready, either; its load goes on."""
    loaded = yard.folder / "loaded"
    yard.engine("a", IGNORED, upgrade=True, load_until=loaded)
    corral = yard.serve()
    with corral.connect() as waiting:
        waiting.send(b"GET /upstream/a/x HTTP/1.1\r\nHost: h\r\n\r\n")
        corral.wait_for_state("a", "starting")
        refused = corral.connect().send(ask_upgrade("/upstream/a/ws")).read_response("GET")
        assert refused.status == 409
        loaded.touch()
        assert waiting.read_response("GET").complete
    page(corral, "a").close()


def test_only_websockets_are_ignored(yard):
    """Guards: another protocol, and an ordinary request, load the model and count as ever."""
    yard.engine("a", {"concurrencyLimit": 1, **IGNORED}, upgrade=True)
    corral = yard.serve()
    client = open_tunnel(corral, "/upstream/a/x", protocol="irc/6.9, websocket")
    exchange(client, b"hello")
    assert corral.chat("a").status == 429
    page(corral, "a").close()


def test_a_websocket_counts_for_the_concurrency_limit(yard):
    """Guards: one WebSocket takes one of the model's places, until it ends."""
    yard.engine("a", {"concurrencyLimit": 1}, upgrade=True)
    corral = yard.serve()
    client = page(corral, "a")
    assert corral.chat("a").status == 429
    assert corral.connect().send(ask_upgrade("/upstream/a/ws")).read_response("GET").status == 429
    client.close()
    poll_until(lambda: corral.chat("a").status == 200, what="the place to be free")


def test_an_ignored_websocket_takes_no_place(yard):
    """Guards: pages do not lock requests out, nor the other way round."""
    engine = yard.engine("a", {"concurrencyLimit": 1, **IGNORED}, upgrade=True, gate=True)
    corral = yard.serve()
    engine.open_gate()
    assert corral.chat("a").status == 200
    pages = [page(corral, "a") for _ in range(3)]
    with corral.connect() as busy:
        busy.send(b"GET /upstream/a/v1/completions HTTP/1.1\r\nHost: h\r\n\r\n")
        poll_until(lambda: engine.count("request GET /v1/completions") == 1, what="the request")
        assert corral.chat("a").status == 429
        pages.append(page(corral, "a"))
        engine.open_gate(100)
        assert busy.read_response("GET").complete
    for client in pages:
        exchange(client, b"unharmed")


def test_a_swap_waits_for_a_websocket(yard):
    """Guards: a WebSocket that counts is never cut for another model."""
    a, b = yard.engine("a", upgrade=True), yard.engine("b")
    corral = yard.serve()
    client = page(corral, "a")
    with corral.connect() as waiting:
        waiting.send(b"GET /upstream/b/x HTTP/1.1\r\nHost: h\r\n\r\n")
        wait_briefly(0.5)
        exchange(client, b"still here")
        assert b.starts == [] and corral.running() == {"a": "ready"}
        client.close()
        assert waiting.read_response("GET").complete
    assert len(b.starts) == 1 and not is_alive(a.starts[0])


def test_a_swap_does_not_wait_for_an_ignored_websocket(yard):
    """Guards: the other model comes at once; the page sees its own go, and cannot bring it back."""
    a, b = yard.engine("a", IGNORED, upgrade=True), yard.engine("b")
    corral = yard.serve()
    assert corral.chat("a").status == 200
    pages = [page(corral, "a") for _ in range(3)]
    assert corral.chat("b").status == 200
    for client in pages:
        assert client.read_until_closed() == b""
    again = corral.connect().send(ask_upgrade("/upstream/a/ws")).read_response("GET")
    assert again.status == 409
    assert (len(a.starts), len(b.starts)) == (1, 1)
    assert corral.running() == {"b": "ready"}
    poll_until(lambda: ended_by(corral) == ["corral"] * 3, what="all to be told")


@pytest.mark.parametrize("keys", [{}, IGNORED], ids=["counted", "ignored"])
def test_an_unload_ends_websockets(yard, keys):
    """Guards: who unloads a model does not wait until every tab was closed."""
    engine = yard.engine("a", keys, upgrade=True)
    corral = yard.serve()
    assert corral.chat("a").status == 200
    client = page(corral, "a")
    assert corral.post("/api/models/unload/a").status == 200
    assert client.read_until_closed() == b""
    assert not is_alive(engine.starts[0])
    poll_until(lambda: ended_by(corral) == ["corral"], what="its line")


def test_an_unload_lets_requests_end_beside_the_websockets(yard):
    """Guards: a WebSocket is told to go, a request in flight is still waited for."""
    engine = yard.engine("a", upgrade=True, gate=True)
    corral = yard.serve()
    client = page(corral, "a")
    with corral.connect() as busy, corral.connect() as unload:
        busy.send(b"GET /upstream/a/v1/completions HTTP/1.1\r\nHost: h\r\n\r\n")
        poll_until(lambda: engine.count("request GET /v1/completions") == 1, what="the request")
        unload.send(b"GET /unload HTTP/1.1\r\nHost: h\r\n\r\n")
        assert client.read_until_closed() == b""
        assert is_alive(engine.starts[0])
        engine.open_gate(100)
        assert busy.read_response("GET").complete
        assert unload.read_response("GET").status == 200
    assert not is_alive(engine.starts[0])


@pytest.mark.parametrize("keys", [{}, IGNORED], ids=["counted", "ignored"])
def test_a_server_that_outlives_its_model_is_left(yard, keys):
    """Guards: the tunnel ends with the model, not with whoever speaks at the other end (a container
    that stays): it sees its client leave, may say its last words, and is left then."""
    upstream = RawUpstream(yard, keys=keys)
    corral = yard.serve()
    first = corral.connect().send(b"GET /upstream/a/x HTTP/1.1\r\nHost: h\r\n\r\n")
    upstream.accept().close()  # it is ready now
    assert first.read_response("GET").status == 502
    client = corral.connect().send(ask_upgrade("/upstream/a/ws"))
    server = upstream.accept()
    server.read_request()
    server.send(SWITCH % b"websocket")
    assert client.read_head().status == 101
    unload = corral.connect().send(b"GET /unload HTTP/1.1\r\nHost: h\r\n\r\n")
    assert server.read_until_closed() == b""
    server.send(b"1001 going away")
    assert client._exactly(15) == b"1001 going away"
    assert client.read_until_closed() == b""
    upstream.close()
    unload.close()


@pytest.mark.parametrize("change", ["removed", "changed"])
def test_a_reload_that_ends_a_model_ends_its_websockets(yard, change):
    """Guards: a definition that has gone is not kept alive by a tab; one that stays is."""
    a, b = yard.engine("a", upgrade=True), yard.engine("b", upgrade=True)
    config = yard.config(groups=yard.together())
    corral = yard.serve(config)
    of_a, of_b = page(corral, "a"), page(corral, "b")
    if change == "removed":
        config["groups"]["all"]["members"] = ["b"]
        del config["models"]["a"]
    else:
        config["models"]["a"]["cmd"] += " --tokens 3"
    corral.config_file.write_text(json.dumps(config))
    assert corral.post("/api/config/reload").status == 200
    assert of_a.read_until_closed() == b""
    poll_until(lambda: not is_alive(a.starts[0]), what="the old process to end")
    exchange(of_b, b"unharmed")
    assert len(b.starts) == 1


@pytest.mark.parametrize("keys", [{}, IGNORED], ids=["counted", "ignored"])
def test_the_end_of_corral_ends_websockets(yard, keys):
    """Guards: SIGTERM does not take the whole grace because a tab is open."""
    yard.engine("a", keys, upgrade=True)
    corral = yard.serve(limits={"shutdownGrace": "10m"})
    assert corral.chat("a").status == 200
    client = page(corral, "a")
    assert corral.terminate() == 0
    assert client.read_until_closed() == b""
    poll_until(lambda: ended_by(corral) == ["corral"], what="its line")


def test_a_server_that_stays_does_not_keep_corral(yard):
    """Guards: the grace ends a tunnel whose server says nothing to its client's leaving."""
    upstream = RawUpstream(yard)
    corral = yard.serve(limits={"shutdownGrace": "10m"})
    client = corral.connect().send(ask_upgrade("/upstream/a/ws"))
    server = upstream.accept()
    server.read_request()
    server.send(SWITCH % b"websocket")
    assert client.read_head().status == 101
    assert corral.terminate() == 0
    assert client.read_until_closed() == b"" and server.read_until_closed() == b""
    upstream.close()


def test_the_end_of_corral_ends_what_it_tunnels_to_a_peer(yard):
    """Guards: where no model has to go, the tunnel ends with the program."""
    upstream = RawUpstream(yard)
    peer = {"proxy": f"http://127.0.0.1:{upstream.port}", "models": ["pm"]}
    corral = yard.serve(limits={"shutdownGrace": "10m"}, peers={"p1": peer})
    client = corral.connect().send(ask_upgrade("/upstream/pm/ws"))
    server = upstream.accept()
    server.read_request()
    server.send(SWITCH % b"websocket" + b"hi")
    assert client.read_head().status == 101 and client._exactly(2) == b"hi"
    assert corral.terminate() == 0
    assert client.read_until_closed() == b"" and server.read_until_closed() == b""
    assert ended_by(corral) == ["corral"]
    upstream.close()


def test_comfyuis_websocket_is_ignored_without_being_asked(yard):
    """Guards: contract 1.5: ComfyUI's page may stay open, and its socket never loads the model."""
    engine = yard.engine("comfyui_auto", {"ttl": 1}, upgrade=True)
    corral = yard.serve()
    with corral.connect() as early:
        answer = early.send(ask_upgrade("/comfyui/ws?clientId=1")).read_response("GET")
        assert answer.status == 409 and engine.starts == []
    assert corral.get("/comfyui/").status in (200, 404)
    client = open_tunnel(corral, "/comfyui/ws?clientId=1")
    assert client.read_until_closed() == b""
    corral.wait_for_state("comfyui_auto", None)


def test_a_spillover_does_not_count_what_is_ignored(yard):
    """Guards: a page that is open at the first target does not send requests to the second."""
    for name in ("a", "b"):
        yard.engine(name, IGNORED, upgrade=True)
    corral = yard.serve(
        groups=yard.together(),
        selectors={"s": {"strategy": "spillover", "targets": ["a", "b"]}},
    )
    assert corral.chat("s").json()["model"] == "a"
    client = open_tunnel(corral, "/props?model=s")
    exchange(client, b"hello")
    assert corral.chat("s").json()["model"] == "a"
    assert corral.running() == {"a": "ready"}


def test_nothing_is_left_of_a_thousand_tunnels(yard):
    """Guards: no lease, no connection and no descriptor stays behind, however a tunnel ended."""
    yard.engine("a", {"concurrencyLimit": 3}, upgrade=True)
    yard.engine("b", {"concurrencyLimit": 3, **IGNORED}, upgrade=True)
    corral = yard.serve(groups=yard.together())
    assert corral.chat("a").status == corral.chat("b").status == 200
    before = len(os.listdir(f"/proc/{corral.server_pid}/fd"))
    for number in range(500):
        for model in ("a", "b"):
            # The last ones may still hold their places for a moment.
            client = poll_until(lambda m=model: try_page(corral, m), what="a place")
            client.reset() if number % 2 else client.close()
    poll_until(
        lambda: len(os.listdir(f"/proc/{corral.server_pid}/fd")) <= before,
        what="the descriptors to be closed",
    )
    poll_until(lambda: len(ended_by(corral)) == 1000, what="every line")
    assert corral.chat("a").status == corral.chat("b").status == 200


def try_page(corral, model):
    """A tunnel, or None when every place is taken."""
    client = corral.connect().send(ask_upgrade(f"/upstream/{model}/ws"))
    if client.read_head().status == 101:
        return client
    client.close()
    return None
