"""Who may do what: keys, names that Corral may be asked by, web pages, proxies in front, and what
of a client reaches whom. The numbers are the cases of the security table."""

import base64
import json
import re

import pytest
from corral_harness import Yard, poll_until
from corral_http import make_request
from corral_origin import Origin, response
from corral_upgrade import ask_upgrade

KEY = "sk-canary-x"
BEARER = [("Authorization", f"Bearer {KEY}")]
EVIL = ("Origin", "https://evil.example")
CROSS_SITE = ("Sec-Fetch-Site", "cross-site")
# Every route, with a method that it takes.
ROUTES = [
    *(("POST", path) for path in (
        "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages",
        "/v1/messages/count_tokens", "/v1/embeddings", "/v1/rerank", "/v1/reranking", "/rerank",
        "/reranking", "/infill", "/completion", "/embedding", "/tokenize", "/detokenize",
        "/apply-template", "/v1/audio/speech", "/v1/audio/voices", "/v1/audio/transcriptions",
        "/v1/audio/translations", "/v1/images/generations", "/v1/images/edits",
        "/sdapi/v1/txt2img", "/sdapi/v1/img2img", "/audioapi/v1/tasks/run",
        "/v/chat/completions", "/v/completions", "/v/responses", "/v/messages",
        "/v/messages/count_tokens", "/v/embeddings", "/v/rerank", "/v/reranking",
        "/api/models/unload", "/api/models/unload/a", "/api/config/reload", "/models/load",
        "/comfyui/", "/upstream/a/x")),
    ("PUT", "/api/profiles/active"),
    *(("GET", path) for path in (
        "/v1/audio/voices?model=a", "/sdapi/v1/loras?model=a", "/props?model=a", "/slots?model=a",
        "/v1/models", "/models", "/v1/models/a", "/running", "/unload", "/api/profiles",
        "/api/version", "/comfyui", "/comfyui/", "/comfyui/x", "/upstream/a/x", "/logs",
        "/logs/stream", "/metrics", "/api/events", "/ui/", "/upstream/", "/nowhere")),
]


def ask(corral, method="GET", target="/v1/models", host="127.0.0.1", body=None, fields=()):
    """One request with a Host of the test's choice."""
    with corral.connect() as connection:
        connection.send(make_request(method, target, body, fields, host=host))
        return connection.read_response(method)


def fields_at(engine):
    """The fields of the request that an engine got last, by lower-case name."""
    head, _ = engine.requests[-1]
    lines = head.decode("latin-1").split("\r\n")[1:]
    fields = {}
    for line in lines:
        name, value = line.split(": ", 1)
        assert name.lower() not in fields, lines
        fields[name.lower()] = value
    return fields


def module_yard(tmp_path_factory, name, **top):
    """A Corral that all tests of one module-wide fixture share; `a` is ready, `never` is not."""
    yard = Yard(tmp_path_factory.mktemp(name))
    yard.engine("a")
    yard.engine("never")
    yard.corral = yard.serve(groups=yard.together(), **top)
    keys = BEARER if "apiKeys" in top else ()
    assert yard.corral.post("/v1/completions", {"model": "a"}, fields=keys).status == 200
    return yard


@pytest.fixture(scope="module")
def front(tmp_path_factory):
    """Without keys."""
    yard = module_yard(tmp_path_factory, "open", allowedHosts=["llm.example.org", "*.corp.example"],
                       allowedOrigins=["https://chat.example.org", "app://*"])
    yield yard
    assert yard.corral.get("/health").status == 200
    yard.close()


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """With keys."""
    yard = module_yard(tmp_path_factory, "locked", apiKeys=["sk-other", KEY])
    yield yard
    assert yard.corral.get("/health").status == 200
    yard.close()


# Keys


@pytest.mark.parametrize("method,target", ROUTES)
def test_every_route_needs_the_key(locked, method, target):
    """Guards: no route is open by mistake, for HEAD neither (case 142)."""
    corral = locked.corral
    body = {"model": "never"} if method == "POST" else None
    answer = corral.request(method, target, body)
    assert (answer.status, answer.error["code"]) == (401, "unauthorized"), answer
    assert corral.request("HEAD", target).status == 401
    assert locked.engines["never"].starts == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PROPFIND", "TRACE"])
@pytest.mark.parametrize(
    "target",
    ["//running", "/RUNNING", "/%72unning", "/%72%75nning", "/v1/../running", "/./running",
     "/running;x", "/running/", "/running%2f", "/running%20", "/%2frunning", "/running%3fx",
     "/health/../running", "/health/%2e%2e/running", "/health%2f..%2frunning", "/running#x",
     "/upstream/../running", "/upstream//a/x", "/upstream/%61/x", "/UPSTREAM/a/x", "//upstream/a/x",
     "/running\\", "/running%00", "/health;/../running", "/v1/models/%2e%2e/running",
     "http://127.0.0.1/running", "http://127.0.0.1//running", "*", "/logs;x", "/%6cogs", "/LOGS"],
)
def test_no_spelling_of_a_path_gets_around_the_key(locked, method, target):
    """Guards: routing and authorization see one normal form of the path (case 142)."""
    with locked.corral.connect() as connection:
        connection.send(make_request(method, target))
        answer = connection.read_response(method)
    assert answer.status in (400, 401, 404), answer
    assert b"running" not in answer.body or answer.status == 400, answer
    assert locked.engines["never"].starts == []


@pytest.mark.parametrize(
    "method,target,status",
    [("GET", "/health", 200), ("HEAD", "/health", 200), ("GET", "/wol-health", 200),
     ("GET", "/", 302), ("GET", "/upstream", 302), ("OPTIONS", "/v1/models", 204),
     ("OPTIONS", "/nowhere", 204), ("OPTIONS", "*", 204), ("OPTIONS", "/upstream/a/x", 204)],
)
def test_what_is_open_with_keys(locked, method, target, status):
    """Guards: the contract's list of what needs no key (§1.0), and nothing of a model in it."""
    seen = len(locked.engines["a"].recorded)
    answer = locked.corral.request(method, target)
    assert answer.status == status
    assert len(locked.engines["a"].recorded) == seen


def basic(text):
    return ("Authorization", "Basic " + base64.b64encode(text.encode()).decode())


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [("Authorization", f"Bearer {KEY[:-1]}")],
        [("Authorization", f"Bearer {KEY}x")],
        [("Authorization", f"Bearer {KEY} ")],
        [("Authorization", f"Bearer {KEY} x")],
        [("Authorization", f"Bearer {KEY.upper()}")],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer ")],
        [("Authorization", KEY)],
        [("Authorization", f"Token {KEY}")],
        [("Authorization", f"Bearer {KEY}"), ("Authorization", f"Bearer {KEY}")],
        [("Authorization", "Bearer wrong"), ("X-Api-Key", KEY)],
        [("X-Api-Key", KEY), ("X-Api-Key", KEY)],
        [("X-Api-Key", f"{KEY} ")],
        [("X-Api-Key", f"Bearer {KEY}")],
        [basic(f"{KEY}:")],
        [basic(f"user:{KEY}\0")],
        [basic(f"user:{KEY} ")],
        [("Authorization", "Basic !!!")],
        [("Authorization", basic(f"u:{KEY}")[1].rstrip("=") + "!")],
        [("Authorization", "Basic " + KEY)],
        [("Proxy-Authorization", f"Bearer {KEY}")],
        [("Cookie", f"key={KEY}")],
        [("X_Api_Key", KEY)],
    ],
)
@pytest.mark.parametrize("query", ["", f"?api_key={KEY}&key={KEY}&token={KEY}"])
def test_what_is_not_exactly_a_key_is_none(locked, fields, query):
    """Guards: a part of a key, a key twice, or one in another place opens nothing (case 143)."""
    answer = locked.corral.get("/v1/models" + query, fields=fields)
    assert (answer.status, answer.error["type"]) == (401, "authentication_error"), answer
    assert answer.field("WWW-Authenticate").startswith("Basic")
    assert KEY not in answer.body.decode()


def test_a_nul_in_a_key_is_no_head(locked):
    """Guards: a control byte ends the connection before anything is compared (case 143)."""
    with locked.corral.connect() as connection:
        connection.send(make_request("GET", "/v1/models", fields=[(
            "Authorization", f"Bearer {KEY}\0")]))
        assert connection.read_response("GET").status == 400
        assert connection.read_until_closed() == b""


@pytest.mark.parametrize(
    "fields",
    [BEARER, [("x-api-key", KEY)], [basic(f"any:{KEY}")], [("Authorization", f"bEARER  {KEY}")],
     [("Authorization", "Basic !!!"), ("X-Api-Key", KEY)]],
)
def test_keys_and_cookies_of_ours_stay_here(locked, fields):
    """Guards: what lets a client in is not handed on to the model's server."""
    sent = [*fields, ("Cookie", f"a=1; corral_session={KEY}; b=2"), ("X-Mine", "kept")]
    assert locked.corral.post("/v1/completions", {"model": "a"}, fields=sent).status == 200
    assert locked.corral.get("/upstream/a/page", fields=sent).status == 200
    for head, _ in locked.engines["a"].requests[-2:]:
        assert KEY.encode() not in head
        assert b"\r\nCookie: a=1; b=2\r\n" in head + b"\r\n"
        assert b"\r\nX-Mine: kept\r\n" in head + b"\r\n"


def test_without_keys_a_clients_credentials_are_the_models(front):
    """Guards: a model's server that wants a key of its own gets what the client sends."""
    sent = [("Authorization", "Bearer mine"), ("X-Api-Key", "k"), ("Cookie", "a=1;b=2")]
    assert front.corral.post("/v1/completions", {"model": "a"}, fields=sent).status == 200
    got = fields_at(front.engines["a"])
    names = ("authorization", "x-api-key", "cookie")
    assert [got[name] for name in names] == ["Bearer mine", "k", "a=1;b=2"]


@pytest.mark.parametrize("own_key", ["", "sk-peer"])
@pytest.mark.parametrize("keys", [[], [KEY]])
def test_another_server_gets_no_credentials_of_ours(yard, own_key, keys):
    """Guards: a peer's own key takes the place of the client's, and where Corral has keys nothing
    of the client's reaches another server (case 146); nor does it learn who asks."""
    with Origin() as peer:
        corral = yard.serve({"apiKeys": keys, "peers": {"p": {
            "proxy": peer.url(), "models": ["m"], "apiKey": own_key}}})
        sent = [*BEARER, ("Cookie", "a=1"), ("X-Forwarded-For", "1.2.3.4"),
                ("X-Real-IP", "1.2.3.4"), ("Forwarded", "for=1.2.3.4"), ("X-Forwarded-Port", "1")]
        assert corral.post("/v1/completions", {"model": "m"}, fields=sent).status == 200
        (got,) = [request.fields for request in peer.requests]
    if own_key or keys:
        assert KEY not in str(got) and "cookie" not in got
        assert got.get("authorization") == (f"Bearer {own_key}" if own_key else None)
        assert got.get("x-api-key") == (own_key or None)
    else:  # as with llama-swap: the client authenticates at the peer itself
        assert got["authorization"] == f"Bearer {KEY}"
    assert "1.2.3.4" not in str(got) and "127.0.0.1" not in str(got).replace(got["host"], "")
    assert not [name for name in got if name.startswith("x-forwarded") or name == "forwarded"]


def test_a_peers_redirect_is_the_clients_to_follow(yard):
    """Guards: Corral goes where its config says, and nowhere else (case 146)."""
    def answer(_, connection):
        connection.send(response(b"", "302 Found", [f"Location: {elsewhere.url('/latest')}"]))

    with Origin() as elsewhere, Origin(answer) as peer:
        corral = yard.serve({"apiKeys": [KEY],
                             "peers": {"p": {"proxy": peer.url(), "models": ["m"]}}})
        got = corral.post("/v1/completions", {"model": "m"}, fields=BEARER)
        assert (got.status, got.field("Location")) == (302, elsewhere.url("/latest"))
        assert (elsewhere.accepts, len(peer.requests)) == (0, 1)


def test_a_key_is_found_nowhere(yard):
    """Guards: no log line, answer, environment or command line has a key, in whatever way it was
    sent (case 145)."""
    yard.engine("a")
    corral = yard.serve(apiKeys=["${env.CORRAL_OWN_KEY}"], env={"CORRAL_OWN_KEY": KEY})
    tries = [BEARER, [("x-api-key", KEY)], [basic(f"u:{KEY}")],
             [("Authorization", f"Bearer {KEY}x")], [("Cookie", f"k={KEY}")]]
    answers = []
    for fields in tries:
        answers.append(corral.post("/v1/completions", {"model": "a"}, fields=fields))
        for target in ("/running", "/nowhere", "/upstream/nobody/x", "/api/profiles", "/v1/models"):
            answers.append(corral.get(target, fields=fields))
    answers.append(corral.get(f"/v1/models?key={KEY}"))
    answers.append(corral.request("BREW", "/v1/models", fields=BEARER))
    for answer in answers:
        assert KEY not in f"{answer.fields}{answer.body}"
    poll_until(lambda: corral.log.count("request req=") >= len(answers), what="the log")
    assert KEY not in corral.log + corral.output
    (pid,) = yard.engines["a"].starts
    for name in ("environ", "cmdline"):
        with open(f"/proc/{pid}/{name}", "rb") as file:
            assert KEY.encode() not in file.read()


# Names that Corral may be asked by


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.com", "127.0.0.1.evil.com", "2130706433", "0x7f000001",
     "127.1", "evil.example:8091", "example.org", "llm.example.org.evil.com", "corp.example"],
)
def test_a_strangers_name_is_misdirected(front, host):
    """Guards: DNS rebinding (case 148); whoever meant it learns which key to set."""
    answer = ask(front.corral, host=host)
    assert (answer.status, answer.error["type"]) == (421, "invalid_request_error")
    assert "allowedHosts" in answer.error["message"]
    for method, target in (("POST", "/v1/completions"), ("GET", "/unload"), ("OPTIONS", "/x"),
                           ("GET", "/upstream/never/x"), ("GET", "/health")):
        assert ask(front.corral, method, target, host).status == 421
    assert front.engines["never"].starts == []


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:8091", "192.168.7.7", "[::1]", "[::1]:8091", "[fd00::7]", "localhost",
     "LOCALHOST.", "localhost:1", "gpu-box", "gpu-box:8080", "Box.Local", "llm.internal",
     "LLM.example.org", "llm.example.org.:443", "a.corp.example", "a.b.corp.example:1"],
)
def test_names_of_this_network_and_listed_ones_are_ours(front, host):
    """Guards: what people type at home works, and what allowedHosts names (case 148)."""
    assert ask(front.corral, host=host).status == 200


def test_a_request_without_a_host_is_no_browsers(front):
    """Guards: HTTP/1.0 monitors go on working."""
    with front.corral.connect() as connection:
        connection.send(b"GET /health HTTP/1.0\r\n\r\n")
        assert connection.read_response("GET").status == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "evil.example"])
def test_an_absolute_target_passes_the_same_check(front, host):
    """Guards: the authority of an absolute-form target decides, and goes on in origin-form
    (RFC 9112 section 3.2.2)."""
    seen = len(front.engines["a"].recorded)
    answer = ask(front.corral, target="http://evil.example/upstream/a/x?q", host=host)
    assert answer.status == 421
    assert len(front.engines["a"].recorded) == seen
    answer = ask(front.corral, target="http://localhost:99/upstream/a/x?q", host=host)
    assert answer.status == 200
    head, _ = front.engines["a"].requests[-1]
    assert head.startswith(b"GET /x?q HTTP/1.1\r\nHost: localhost:99\r\n")


def test_with_keys_any_name_will_do(locked):
    """Guards: a key protects by itself; a public server needs no list of its names."""
    assert ask(locked.corral, host="evil.example").status == 401
    assert ask(locked.corral, host="llm.example.org", fields=BEARER).status == 200


def test_names_are_reloaded_with_the_config(yard):
    """Guards: what the refusal says to write helps without a restart."""
    corral = yard.serve(yard.config())
    assert ask(corral, host="llm.example").status == 421
    assert ask(corral, target="/health", host="llm.example", fields=[EVIL]).status == 421
    config = {**yard.config(), "allowedHosts": ["llm.example"],
              "allowedOrigins": ["https://evil.example"]}
    corral.config_file.write_text(json.dumps(config))
    done = corral.post("/api/config/reload")
    assert done.json()["settings"] == ["allowedHosts", "allowedOrigins"]
    assert ask(corral, host="llm.example").status == 200
    assert corral.request("OPTIONS", "/x", fields=[EVIL]).status == 204
    corral.config_file.write_text(json.dumps({**yard.config(), "allowedHosts": ["*"]}))
    assert corral.post("/api/config/reload").status == 200
    assert ask(corral, host="anything.example").status == 200


# Web pages


@pytest.mark.parametrize("sign", [EVIL, CROSS_SITE, ("Origin", "null"), ("Origin", ""),
                                  ("Origin", "http://localhost.evil.com"),
                                  ("Origin", "http://127.0.0.1.evil.com"),
                                  ("Origin", "https://127.0.0.1@evil.com"),
                                  ("Origin", "https://chat.example.org.evil.com"),
                                  ("Origin", "http://chat.example.org")])
@pytest.mark.parametrize(
    "method,target",
    [("POST", "/v1/chat/completions"), ("POST", "/unload"), ("POST", "/api/models/unload"),
     ("POST", "/api/models/unload/a"), ("POST", "/api/config/reload"), ("POST", "/models/load"),
     ("PUT", "/api/profiles/active"), ("GET", "/unload"), ("HEAD", "/unload"),
     ("GET", "/upstream/never/"), ("GET", "/props?model=never"), ("DELETE", "/upstream/a/x"),
     ("POST", "/nowhere")],
)
def test_a_foreign_page_can_do_nothing(front, sign, method, target):
    """Guards: cross-site requests, with a body that needs no preflight (case 147)."""
    seen = len(front.engines["a"].recorded)
    body = '{"model":"never"}' if method in ("POST", "PUT") else None
    answer = front.corral.request(method, target, body,
                                  fields=[sign, ("Content-Type", "text/plain")])
    assert answer.status == 403, answer
    if method != "HEAD":
        assert (answer.error["code"], answer.error["type"]) == ("forbidden", "authentication_error")
        assert "allowedOrigins" in answer.error["message"]
    assert answer.field("Access-Control-Allow-Origin") is None
    assert len(front.engines["a"].recorded) == seen and front.engines["never"].starts == []
    assert front.corral.running()["a"] == "ready"


@pytest.mark.parametrize("origin", [
    "http://localhost:3000", "https://127.0.0.1", "http://[::1]:5173", "http://127.0.0.1",
    "https://chat.example.org", "HTTPS://CHAT.example.org:443", "app://obsidian.md"])
def test_a_page_that_may_use_corral_reads_every_answer(front, origin):
    """Guards: CORS fields are on relayed answers, on errors of each kind, on lists; with this one
    origin in them, and never with credentials."""
    corral, fields = front.corral, [("Origin", origin)]
    answers = {
        200: corral.post("/v1/completions", {"model": "a"}, fields=fields),
        404: corral.post("/v1/completions", {"model": "nobody"}, fields=fields),
        400: corral.post("/v1/completions", '{"model":', fields=fields),
        405: corral.request("DELETE", "/health", fields=fields),
        307: corral.get("//v1/models", fields=fields),
        204: corral.request("OPTIONS", "/v1/completions", fields=fields),
    }
    answers["list"] = corral.get("/v1/models", fields=fields)
    answers["stream"] = corral.post("/v1/completions", {"model": "a", "stream": True},
                                    fields=fields)
    for expected, answer in answers.items():
        assert answer.status == (expected if isinstance(expected, int) else 200), answer
        assert answer.all("Access-Control-Allow-Origin") == [origin], answer
        assert answer.all("Vary") == ["Origin"]
        assert "X-Request-Id" in answer.field("Access-Control-Expose-Headers")
        assert answer.field("Access-Control-Allow-Credentials") is None


def test_a_page_of_corrals_own_is_at_home(front):
    """Guards: same-origin needs no config, whatever name Corral is asked by."""
    for host in ("gpu-box:8080", "llm.example.org"):
        answer = ask(front.corral, "POST", "/v1/completions", host, b'{"model":"a"}',
                     [("Origin", f"https://{host}"), ("Content-Type", "application/json")])
        assert (answer.status, answer.field("Access-Control-Allow-Origin")) == (
            200, f"https://{host}")
    answer = ask(front.corral, "POST", "/v1/completions", "gpu-box:8080", b'{"model":"a"}',
                 [("Origin", "http://gpu-box:8081")])
    assert answer.status == 403


def test_a_foreign_page_cannot_read_what_it_may_ask_for(front):
    """Guards: lists change nothing; without a CORS field a browser keeps them from the page."""
    for target in ("/v1/models", "/running", "/health", "/nowhere"):
        answer = front.corral.get(target, fields=[EVIL])
        assert answer.status in (200, 404)
        assert answer.field("Access-Control-Allow-Origin") is None
        assert answer.field("Vary") == "Origin"


def test_programs_that_are_no_browsers_are_not_concerned(front):
    """Guards: curl and scripts get answers as before, and no field that they did not ask for."""
    answer = front.corral.post("/v1/completions", {"model": "a"})
    assert not [name for name, _ in answer.fields if name.lower().startswith("access-control")]
    assert answer.field("Vary") is None
    for site in ("same-origin", "same-site", "none"):
        fields = [("Sec-Fetch-Site", site)]
        assert front.corral.post("/v1/completions", {"model": "a"}, fields=fields).status == 200


def test_a_link_opens_a_models_page_and_an_image_does_not(front):
    """Guards: following a link is no attack; embedding is."""
    link = [CROSS_SITE, ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")]
    image = [CROSS_SITE, ("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image")]
    assert front.corral.get("/upstream/a/page", fields=link).status == 200
    assert front.corral.get("/upstream/a/page", fields=image).status == 403
    assert front.corral.get("/unload", fields=link).status == 403
    assert front.corral.running()["a"] == "ready"


@pytest.mark.parametrize("origin,status", [("https://evil.example", 403), ("null", 403),
                                           ("http://localhost:3000", 101), (None, 101)])
def test_a_websocket_has_an_origin_too(yard, origin, status):
    """Guards: browsers ask for no preflight before a WebSocket (case 147)."""
    yard.engine("a", upgrade=True)
    corral = yard.serve()
    with corral.connect() as connection:
        fields = [("Origin", origin)] if origin else []
        connection.send(ask_upgrade("/upstream/a/ws", fields=fields))
        assert connection.read_head().status == status
    assert (yard.engines["a"].starts == []) == (status == 403)


@pytest.mark.parametrize("asked", ["x\r\n-y", "x-a\tx-b", "x: y", "<b>", "\"x\"", "*, x-own", ","])
def test_a_preflight_answers_with_names_only(front, asked):
    """Guards: nothing but field names comes back (case 149)."""
    request = (f"OPTIONS /v1/models HTTP/1.1\r\nHost: h\r\nOrigin: http://localhost:3000\r\n"
               f"Access-Control-Request-Headers: {asked}\r\n\r\n").encode()
    with front.corral.connect() as connection:
        connection.send(request)
        answer = connection.read_response("OPTIONS")
    if "\r" in asked:
        assert answer.status == 400  # another field without a colon: no head at all
        return
    assert answer.status == 204
    (names,) = answer.all("Access-Control-Allow-Headers")
    assert all(re.fullmatch(r"[\w*-]+", name) for name in names.split(", "))
    assert answer.field("Access-Control-Allow-Credentials") is None


def test_a_model_does_not_decide_which_pages_read_it(yard):
    """Guards: llama-server lets every page read its answers, with credentials."""
    def answer(_, connection):
        connection.send(response(b"{}", fields=[
            "Access-Control-Allow-Origin: https://evil.example",
            "Access-Control-Allow-Credentials: true", "X-Request-Id: theirs"]))

    with Origin(answer) as peer:
        corral = yard.serve({"peers": {"p": {"proxy": peer.url(), "models": ["m"]}}})
        for fields, allowed in (([], []), ([("Origin", "http://localhost:1")],
                                           ["http://localhost:1"])):
            got = corral.post("/v1/completions", {"model": "m"}, fields=fields)
            assert got.status == 200
            assert got.all("Access-Control-Allow-Origin") == allowed
            assert got.all("Access-Control-Allow-Credentials") == []
            assert len(got.all("X-Request-Id")) == 1 and got.field("X-Request-Id") != "theirs"


def test_every_page_can_be_let_in(yard):
    """Guards: `*` is for all pages, each named in its answer, and for what has no Origin."""
    yard.engine("a")
    corral = yard.serve(allowedOrigins=["*"])
    for origin in ("https://evil.example", "null"):
        answer = corral.post("/v1/completions", {"model": "a"}, fields=[("Origin", origin)])
        assert (answer.status, answer.field("Access-Control-Allow-Origin")) == (200, origin)
        assert answer.field("Access-Control-Allow-Credentials") is None
    assert corral.get("/unload", fields=[CROSS_SITE]).status == 200


# Proxies in front


SPOOFED = [("X-Forwarded-For", "6.6.6.6, 1.2.3.4"), ("X-Forwarded-Proto", "https"),
           ("X-Forwarded-Host", "shown.example"), ("X-Real-IP", "6.6.6.6"),
           ("X_Forwarded_Port", "666"), ("Forwarded", "for=6.6.6.6")]


def client_of(corral, request_id):
    """Who asked, by the log."""
    line = poll_until(lambda: re.search(rf"req={request_id} client=(\S+)", corral.log),
                      what="the request's line")
    return line.group(1)


def test_a_strangers_word_about_who_asks_does_not_count(front):
    """Guards: a client gives itself no address, neither in the log nor at the model."""
    fields = [*SPOOFED, ("X-Request-Id", "spoofed")]
    assert front.corral.post("/v1/completions", {"model": "a"}, fields=fields).status == 200
    got = fields_at(front.engines["a"])
    assert "6.6.6.6" not in str(got) and "666" not in str(got)
    assert got["x-forwarded-for"] == "127.0.0.1" and "x-real-ip" not in got
    assert got["x-forwarded-proto"] == "http"
    assert got["x-forwarded-host"] == "127.0.0.1"
    assert client_of(front.corral, "spoofed") == "127.0.0.1"


@pytest.mark.parametrize("trusted", ["127.0.0.0/8", "127.0.0.1", "::ffff:127.0.0.1"])
def test_a_trusted_proxys_word_counts(yard, trusted):
    """Guards: behind nginx the log has the client's address, and the model the whole chain."""
    yard.engine("a")
    corral = yard.serve(trustedProxies=[trusted, "10.0.0.0/8"])
    fields = [*SPOOFED, ("X-Request-Id", "proxied"), ("Origin", "https://shown.example")]
    answer = corral.post("/v1/completions", {"model": "a"}, fields=fields)
    assert answer.status == 200  # at home: the name that the proxy was asked by
    got = fields_at(yard.engines["a"])
    assert got["x-forwarded-for"] == "6.6.6.6, 1.2.3.4, 127.0.0.1"
    assert got["x-forwarded-proto"] == "https"
    assert got["x-forwarded-host"] == "shown.example"
    assert client_of(corral, "proxied") == "1.2.3.4"


def test_a_mistyped_proxy_is_trusted_by_nobody(yard):
    """Guards: an entry that is none opens nothing, and the start says so."""
    yard.engine("a")
    corral = yard.serve(trustedProxies=["127.0.0.0/33", "lan"], allowedHosts=["http://x.example"])
    assert 'trustedProxies: "lan" is left out' in corral.log
    assert 'allowedHosts: "http://x.example" is left out' in corral.log
    fields = [*SPOOFED, ("X-Request-Id", "mistyped")]
    assert corral.get("/health", fields=fields).status == 200
    assert client_of(corral, "mistyped") == "127.0.0.1"


# Paths


@pytest.mark.parametrize(
    "target",
    ["/ui/../../etc/passwd", "/ui/%2e%2e/%2e%2e/etc/passwd", "/ui/..%2f..%2fetc/passwd",
     "/ui/..%5c..%5cetc", "/ui/x%00.js", "/captures/../../x", "/upstream/..", "/upstream/../x",
     "/upstream/%2e%2e/x", "/..", "/../etc/passwd", "/.%2e/x", "/%2e%2e%2fx", "/ui/\\..\\x",
     "/upstream/a/../../../etc/passwd", "/v1/models/..%2f..%2fetc%2fpasswd"],
)
def test_no_path_climbs(front, target):
    """Guards: dot segments in every disguise are refused (case 150)."""
    seen = len(front.engines["a"].recorded)
    for method in ("GET", "POST"):
        answer = front.corral.request(method, target)
        assert 400 <= answer.status < 500, answer
        assert b"root:" not in answer.body
    assert len(front.engines["a"].recorded) == seen


# Request ids, streams, the log


def test_a_request_has_one_id_everywhere(front):
    """Guards: the client's id, or one that is made, is in answer, model and log alike."""
    corral = front.corral
    for sent in ("01HZX-ab.c:d/e=f@g~h", "x" * 128):
        answer = corral.post("/v1/completions", {"model": "a"}, fields=[("X-Request-Id", sent)])
        assert answer.all("X-Request-Id") == [sent]
        assert fields_at(front.engines["a"])["x-request-id"] == sent
        assert client_of(corral, re.escape(sent)) == "127.0.0.1"
    made = set()
    for fields in ([], [("X-Request-Id", "x" * 129)], [("X-Request-Id", "")],
                   [("X-Request-Id", "a b")], [("X-Request-Id", "\"x\"")],
                   [("X-Request-Id", "<script>")], [("X-Request-Id", "caf\xe9")],
                   [("X-Request-Id", "one"), ("X-Request-Id", "one")]):
        answer = corral.post("/v1/completions", {"model": "a"}, fields=fields)
        (own,) = answer.all("X-Request-Id")
        assert re.fullmatch("[0-9a-f]{16}", own)
        assert fields_at(front.engines["a"])["x-request-id"] == own
        assert client_of(corral, own) == "127.0.0.1"
        made.add(own)
    assert len(made) == 8


def test_every_answer_has_an_id(front, locked):
    """Guards: what a person reports can be found in the log, refusals and broken heads included."""
    own = [("X-Request-Id", "mine")]
    for answer in (
        front.corral.get("/health", fields=own), front.corral.get("/nowhere", fields=own),
        front.corral.get("/v1/models", fields=[EVIL, *own]), locked.corral.get("/x", fields=own),
        ask(front.corral, host="evil.example", fields=own),
        front.corral.post("/unload", fields=[EVIL, *own]),
        front.corral.request("OPTIONS", "/x", fields=own),
        front.corral.get("//health", fields=own),
        front.corral.post("/v1/completions", {"model": "a", "stream": True}, fields=own),
    ):
        assert answer.all("X-Request-Id") == ["mine"], answer
    with front.corral.connect() as connection:
        connection.send(b"GET /health HTTP/1.1\r\nHost : h\r\n\r\n")
        answer = connection.read_response("GET")
    (made,) = answer.all("X-Request-Id")
    assert answer.status == 400 and client_of(front.corral, made) == "127.0.0.1"


def test_a_stream_is_neither_held_back_nor_compressed(front):
    """Guards: a proxy in front of us passes events on at once; we add no coding of our own."""
    answer = front.corral.post("/v1/completions", {"model": "a", "stream": True},
                               fields=[("Accept-Encoding", "gzip, br")])
    assert answer.field("Content-Type").startswith("text/event-stream")
    assert answer.field("X-Accel-Buffering") == "no"
    assert answer.field("Content-Encoding") is None
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert fields_at(front.engines["a"])["accept-encoding"] == "gzip, br"


@pytest.mark.parametrize(
    "model",
    ["x\r\nrequest req=forged status=200", "\x1b[31mred\x1b[0m", "m status=200 ms=1", "x\" y=\"z",
     "%s%n", "\u202etxt", "\x9b31m", "\n" * 5000, "m" * 10**6, "<script>alert(1)</script>",
     "$(touch pwned)", "../../etc/passwd"],
)
def test_a_request_is_one_line_of_the_log(front, model):
    """Guards: nothing that a client sends ends a line, forges a field or plays with a terminal
    (cases 151, 154)."""
    request_id = f"line-{abs(hash(model))}"
    answer = front.corral.post(
        "/v1/completions", {"model": model},
        fields=[("X-Request-Id", request_id)])
    assert answer.status in (400, 404, 413)
    assert answer.field("Content-Type") == "application/json" and answer.error
    client_of(front.corral, request_id)
    lines = [line for line in front.corral.log_file.read_bytes().split(b"\n")
             if request_id.encode() in line]
    (line,) = lines
    assert len(line) <= 8192
    assert re.search(rb"[\x00-\x08\x0b-\x1f\x7f]|\xe2\x80\xae|\xc2[\x80-\x9f]", line) is None
    assert len(re.findall(rb" status=\d+ bytes=", line)) == 1
    assert b"\nrequest req=forged" not in front.corral.log_file.read_bytes()


def test_a_path_is_one_word_of_the_log(front):
    """Guards: the same for the target, which is logged as it came (case 154)."""
    target = "/nowhere/" + "\u009b31m\u202e".encode().decode("latin-1") + "x" * 4000
    assert front.corral.get(target, fields=[("X-Request-Id", "path-1")]).status == 404
    client_of(front.corral, "path-1")
    (line,) = [line for line in front.corral.log_file.read_bytes().split(b"\n")
               if b"req=path-1 " in line]
    assert b"\\xc2\\x9b31m" in line and b"\xc2\x9b" not in line and b"\xe2\x80\xae" not in line
    assert len(line) < 1024


@pytest.mark.parametrize("body", [
    b'{"model":"a","x":' + b"[" * 200 + b"]" * 200 + b"}",
    b'{"model":"a","x":' + b'{"y":' * 130 + b"1" + b"}" * 130 + b"}",
    b'{"x":' + b"[" * 129 + b"]" * 129 + b',"model":"a"}',
])
def test_deep_json_never_reaches_the_model(front, body):
    """Guards: more than 128 levels are refused wherever they stand (case 153)."""
    seen = len(front.engines["a"].requests)
    assert front.corral.post("/v1/completions", body).status == 400
    for _, received in front.engines["a"].requests[seen:]:
        assert b"[" * 129 not in received and b'{"y":' * 129 not in received
