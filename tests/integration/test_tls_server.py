"""https from clients: what is served over TCP is served over TLS, what is broken is said at the
start and survived afterwards, and whoever speaks something else gets a sentence."""

import json
import os
import signal
import socket
import ssl
import warnings

import pytest
from corral_harness import poll_until, run_corral
from corral_http import Connection, make_request
from corral_origin import Authority, openssl
from corral_upgrade import SWITCH, RawUpstream, ask_upgrade


class Secure:
    """A Corral with a certificate, and a client that believes in it."""

    def __init__(self, yard, limits=None, more=None, listen=None):
        self.authority = Authority(yard.folder)
        certificate, key = self.authority.issue()
        self.certificate, self.key = yard.folder / "server.pem", yard.folder / "server.key"
        certificate.rename(self.certificate)
        key.rename(self.key)
        self.context = ssl.create_default_context(cafile=self.authority.certificate)
        config = yard.config(limits=limits or {}, **(more or {}))
        config["tls"] = {"certFile": str(self.certificate), "keyFile": str(self.key)}
        self.corral = yard.serve(config, listen=listen)

    def connect(self, context=None):
        return Connection(self.corral.port, tls=context or self.context)

    def renew(self, *arguments, **more):
        """Puts another certificate in the place of the first, as a certificate manager does."""
        certificate, key = self.authority.issue(*arguments, **more)
        os.replace(key, self.key)
        os.replace(certificate, self.certificate)


ASK = make_request("POST", "/v1/completions", {"model": "a"})
STREAM = make_request("POST", "/v1/completions", {"model": "a", "stream": True})


def test_requests_over_tls_are_as_over_tcp(yard):
    """Guards: keep-alive, pipelining, large bodies both ways, and the address that is told."""
    yard.engine("a")
    secure = Secure(yard)
    assert secure.corral.addresses[0].startswith("https://127.0.0.1:")
    poll_until(lambda: "curl https://127.0.0.1:" in secure.corral.output, what="the welcome")
    with secure.connect() as connection:
        for _ in range(3):
            answer = connection.request("POST", "/v1/completions", {"model": "a"})
            assert answer.status == 200, answer
        connection.send(ASK + ASK)
        assert [connection.read_response().status for _ in range(2)] == [200, 200]
        large = {"model": "a", "prompt": "x" * (3 << 20)}
        assert connection.request("POST", "/v1/completions", large).status == 200
    (_, body) = yard.engines["a"].requests[-1]
    assert json.loads(body) == large


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_are_spoken(yard, version):
    """Guards: TLS 1.2 and 1.3, http/1.1 by ALPN."""
    yard.engine("a")
    secure = Secure(yard)
    secure.context.minimum_version = secure.context.maximum_version = version
    secure.context.set_alpn_protocols(["h2", "http/1.1"])
    with secure.connect() as connection:
        assert connection.socket.selected_alpn_protocol() == "http/1.1"
        assert connection.request("GET", "/health").status == 200


def test_what_is_older_than_tls_1_2_is_refused(yard):
    """Guards: no downgrade."""
    yard.engine("a")
    secure = Secure(yard)
    secure.context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        secure.context.minimum_version = ssl.TLSVersion.TLSv1
        secure.context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        secure.connect()


def test_plain_http_to_a_port_with_tls_gets_a_sentence(yard):
    """Guards: the commonest mistake is told in words that curl and browsers show."""
    yard.engine("a")
    secure = Secure(yard)
    with secure.corral.connect() as connection:
        answer = connection.request("GET", "/health")
    assert answer.status == 400, answer
    assert "https://" in answer.error["message"]
    assert answer.field("Connection") == "close"


def test_garbage_is_no_handshake(yard):
    """Guards: what is neither TLS nor HTTP ends, and nobody else notices."""
    yard.engine("a")
    secure = Secure(yard)
    for garbage in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + bytes(600), b"\0" * 100, b"\x16"):
        with secure.corral.connect() as connection:
            connection.send(garbage)
            connection.finish_sending()
            assert not connection.read_until_closed().startswith(b"HTTP")
    with secure.connect() as connection:
        assert connection.request("GET", "/health").status == 200


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01"])
def test_a_slow_handshake_has_an_end(yard, sent):
    """Guards: headTimeout holds for the handshake."""
    yard.engine("a")
    secure = Secure(yard, {"headTimeout": "300ms"})
    with secure.corral.connect() as connection:
        connection.send(sent)
        connection.read_until_closed()
    with secure.connect() as connection:
        connection.send(b"GET /health HTTP/1.1\r\n")  # behind the handshake, too
        assert connection.read_until_closed()[:12] in (b"", b"HTTP/1.1 408")


def test_an_idle_connection_is_closed(yard):
    """Guards: keepAliveTimeout, with TLS's own goodbye."""
    yard.engine("a")
    secure = Secure(yard, {"keepAliveTimeout": "300ms"})
    secure.context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    with secure.connect() as connection:
        assert connection.request("GET", "/health").status == 200
        assert connection.read_until_closed() == b""


def test_a_stream_arrives_piece_by_piece(yard):
    """Guards: no event waits for the next one; silence ends nothing."""
    engine = yard.engine("a", gate=True)
    short = dict.fromkeys(["headTimeout", "bodyIdleTimeout", "keepAliveTimeout"], "300ms")
    secure = Secure(yard, short)
    with secure.connect() as connection:
        connection.send(STREAM)
        engine.open_gate()
        response = connection.read_head()
        connection.read_chunk()
        assert not connection.has_bytes_within(0.6)
        for _ in range(3):
            engine.open_gate()
            connection.read_chunk()
        engine.open_gate(100)
        connection.read_body(response)
        assert response.complete
        engine.open_gate(100)
        assert connection.request("POST", "/v1/completions", {"model": "a"}).status == 200


@pytest.mark.parametrize("how", ["goodbye", "close", "reset"])
def test_a_client_that_leaves_is_noticed(yard, how):
    """Guards: the model is freed, however the client goes."""
    engine = yard.engine("a", gate=True)
    secure = Secure(yard)
    with secure.connect() as connection:
        connection.send(STREAM)
        engine.open_gate()
        connection.read_head()
        connection.read_chunk()
        if how == "goodbye":
            connection.socket.settimeout(0.2)
            try:
                connection.socket.unwrap()
            except OSError:
                pass
        elif how == "reset":
            connection.reset()
    poll_until(lambda: engine.count("client-gone") == 1, what="the upstream to be let go")


def test_a_client_that_leaves_the_queue_is_noticed(yard):
    """Guards: who waits for a model is watched, too."""
    yard.engine("a", load_until=yard.folder / "loaded")
    secure = Secure(yard)
    with secure.connect() as connection:
        connection.send(ASK)
        poll_until(lambda: yard.engines["a"].starts, what="the engine to start")
    poll_until(lambda: "status=499" in secure.corral.log, what="the client's leaving to be logged")


def test_a_client_that_takes_nothing_is_cut_off(yard):
    """Guards: writeTimeout, in the middle of records."""
    raw = yard.folder / "raw"
    size = 64 << 20
    raw.write_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
    engine = yard.engine("a", raw_response=raw)
    secure = Secure(yard, {"writeTimeout": "500ms"})
    with secure.connect() as connection:
        connection.send(ASK)
        poll_until(lambda: engine.count("client-gone") == 1, 20, "the upstream to be let go")


def test_a_tunnel_passes_through_tls(yard):
    """Guards: an upgraded connection, both ways, and its end."""
    upstream = RawUpstream(yard)
    secure = Secure(yard)
    with secure.connect() as connection:
        connection.send(ask_upgrade("/upstream/a/x", "echo"))
        with upstream.accept() as server:
            server.read_request()
            server.send(SWITCH % b"echo")
            assert connection.read_head().status == 101
            for word in (b"one", b"two" * 50_000):
                connection.send(word)
                assert server._exactly(len(word)) == word
                server.send(word)
                assert connection._exactly(len(word)) == word
            server.finish_sending()
            assert connection.read_until_closed() == b""
    upstream.close()


def test_unix_sockets_and_http_addresses_stay_plain(yard):
    """Guards: a certificate is for TCP, where the address does not say http://."""
    yard.engine("a")
    path = str(yard.folder / "c.sock")
    secure = Secure(yard, listen=["127.0.0.1:0", "http://127.0.0.1:0", f"unix:{path}"])
    kinds = [a.split(":")[0] for a in secure.corral.wait_for_addresses(3)]
    assert kinds == ["https", "http", "unix"]
    port = int(secure.corral.addresses[1].rsplit(":", 1)[1])
    for host in ("127.0.0.1", path):
        with Connection(port, host) as connection:
            assert connection.request("GET", "/health").status == 200
    with secure.connect() as connection:
        assert connection.request("GET", "/health").status == 200


def test_the_flags_of_llama_swap(yard):
    """Guards: -tls-cert-file and -tls-key-file as its users write them."""
    yard.engine("a")
    authority = Authority(yard.folder)
    certificate, key = authority.issue()
    file = yard.folder / "config.yaml"
    file.write_text(json.dumps(yard.config()))
    corral = yard.start("-config", file, "-listen", "127.0.0.1:0", "-tls-cert-file", certificate,
                        f"-tls-key-file={key}")
    context = ssl.create_default_context(cafile=authority.certificate)
    with Connection(corral.port, tls=context) as connection:
        assert connection.request("GET", "/health").status == 200


def subject(secure):
    """The names in the certificate that a new connection gets."""
    with secure.connect() as connection:
        return connection.socket.getpeercert()["subjectAltName"]


def test_a_reload_takes_the_new_certificate(yard):
    """Guards: a renewed certificate needs no restart, and connections outlive the change."""
    yard.engine("a")
    secure = Secure(yard)
    before = subject(secure)
    with secure.connect() as old:
        assert old.request("GET", "/health").status == 200
        secure.renew("IP:127.0.0.1,DNS:renewed.example")
        assert subject(secure) == before
        secure.corral.signal(signal.SIGHUP)
        poll_until(lambda: ("DNS", "renewed.example") in subject(secure), what="the new one")
        assert old.request("GET", "/health").status == 200


@pytest.mark.parametrize("broken", ["certificate", "key", "both", "gone"])
def test_a_reload_keeps_the_old_certificate_when_the_new_one_is_broken(yard, broken):
    """Guards: half a renewal takes nobody down, and is said."""
    yard.engine("a")
    secure = Secure(yard)
    before = subject(secure)
    if broken == "gone":
        secure.key.unlink()
    if broken in ("certificate", "both"):
        secure.certificate.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n")
    if broken in ("key", "both"):
        secure.key.write_text("none")
    secure.corral.signal(signal.SIGHUP)
    poll_until(lambda: "the old certificate stays" in secure.corral.log, what="the warning")
    assert subject(secure) == before


def broken_files(authority, folder):
    """What is wrong → (certificate, key, words that tell it)."""
    certificate, key = authority.issue()
    other, other_key = authority.issue()
    empty, unreadable = folder / "empty.pem", folder / "unreadable.pem"
    empty.write_text("")
    unreadable.mkdir()
    locked = folder / "locked.key"
    openssl("pkey", "-in", key, "-aes256", "-passout", "pass:x", "-out", locked)
    half = folder / "half.pem"
    half.write_text(certificate.read_text() + certificate.read_text()[:200])
    return {
        "no certificate file": (folder / "missing.pem", key, "missing.pem"),
        "no key file": (certificate, folder / "missing.key", "missing.key"),
        "a directory": (unreadable, key, "unreadable.pem"),
        "nothing in it": (empty, key, "no certificate in PEM form"),
        "a key in the certificate's place": (key, key, "no certificate in PEM form"),
        "a certificate in the key's place": (certificate, certificate, "no private key"),
        "another's key": (certificate, other_key, "does not belong to the certificate"),
        "a passphrase": (certificate, locked, "needs a passphrase"),
        "half a chain": (half, key, "a certificate in it is broken"),
    }


def test_files_that_cannot_be_used_are_told_at_the_start(yard):
    """Guards: exit 1, with the file and what is wrong; nothing is asked at the terminal."""
    yard.engine("a")
    file = yard.folder / "config.yaml"
    file.write_text(json.dumps(yard.config()))
    cases = broken_files(Authority(yard.folder), yard.folder)
    for name, (certificate, key, told) in cases.items():
        done = run_corral(yard.folder, "serve", "--config", file, "--listen", "127.0.0.1:0",
                          "--tls-cert-file", certificate, "--tls-key-file", key)
        assert done.returncode == 1, name
        assert "TLS cannot be used" in done.stderr and told in done.stderr, (name, done.stderr)
        assert "listening on" not in done.stderr, name


def test_https_without_a_certificate_is_refused(yard):
    """Guards: who writes https:// never gets plain HTTP; nor does who writes half of `tls:`."""
    yard.engine("a")
    file = yard.folder / "config.yaml"
    file.write_text(json.dumps(yard.config()))
    done = run_corral(yard.folder, "serve", "--config", file, "--listen", "https://127.0.0.1:0")
    assert done.returncode == 1 and "needs a certificate" in done.stderr
    file.write_text(json.dumps(yard.config(tls={"certFile": "x"})))
    done = run_corral(yard.folder, "serve", "--config", file, "--listen", "127.0.0.1:0")
    assert done.returncode == 1 and "both certFile and keyFile" in done.stderr


def test_a_full_house_says_so_over_tls_too(yard):
    """Guards: limits.connections, 503 with Retry-After inside TLS."""
    yard.engine("a")
    secure = Secure(yard, {"connections": 1})
    with secure.connect() as first:
        assert first.request("GET", "/health").status == 200
        with secure.connect() as second:
            answer = second.request("GET", "/health")
            assert answer.status == 503 and int(answer.field("Retry-After")) >= 1


def test_a_connection_that_begins_and_ends_at_once_leaves_nothing(yard):
    """Guards: clients that vanish during the handshake do not hold their seats."""
    yard.engine("a")
    secure = Secure(yard, {"connections": 2})
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", secure.corral.port)) as bare:
            bare.sendall(b"\x16\x03\x01\x00")

    def served():
        with secure.connect() as connection:
            return connection.request("GET", "/health").status == 200

    poll_until(served, what="a seat")
