"""Every route of the contract's §1 and those that its users miss there: what is served, under which
name it reaches the model, and what is said when it is not served. One Corral answers all cases."""

import json

import pytest
from corral_harness import Yard

# path → what the model sees (contract §1.1); None: the same path.
POSTED = {
    "/v1/chat/completions": None,
    "/v1/responses": None,
    "/v1/completions": None,
    "/v1/messages": None,
    "/v1/messages/count_tokens": None,
    "/v1/embeddings": None,
    "/reranking": None,
    "/rerank": None,
    "/v1/rerank": None,
    "/v1/reranking": None,
    "/infill": None,
    "/completion": None,
    "/v1/audio/speech": None,
    "/v1/audio/voices": None,
    "/v1/images/generations": None,
    "/sdapi/v1/txt2img": None,
    "/sdapi/v1/img2img": None,
    "/audioapi/v1/tasks/run": "/v1/tasks/run",
    "/v/chat/completions": "/chat/completions",
    "/v/responses": "/responses",
    "/v/completions": "/completions",
    "/v/messages": "/messages",
    "/v/messages/count_tokens": "/messages/count_tokens",
    "/v/embeddings": "/embeddings",
    "/v/rerank": "/rerank",
    "/v/reranking": "/reranking",
    "/v1/audio/transcriptions": None,
    "/v1/audio/translations": None,  # from here on: not served by llama-swap
    "/tokenize": None,
    "/detokenize": None,
    "/apply-template": None,
    "/embedding": None,
}
FORMS = ["/v1/audio/transcriptions", "/v1/audio/translations", "/v1/images/edits"]
QUERIED = ["/v1/audio/voices", "/sdapi/v1/loras", "/props", "/slots"]


@pytest.fixture(scope="module")
def front(tmp_path_factory):
    yard = Yard(tmp_path_factory.mktemp("routes"))
    yard.engine("a", {"aliases": ["alias-a", "alias+a", "modèle"]})
    yard.engine("author/model", {"aliases": ["author"]})
    yard.engine("never")
    corral = yard.serve(groups=yard.together())
    for name in ("a", "author/model"):
        assert corral.chat(name).status == 200
    yard.corral = corral
    yield yard
    assert corral.get("/health").status == 200
    yard.close()


def last_request(yard, name="a"):
    """Request line and body of what the engine got last."""
    head, body = yard.engines[name].requests[-1]
    return head.split(b"\r\n")[0].decode("latin-1"), body


@pytest.mark.parametrize("path,seen", POSTED.items())
def test_a_posted_body_chooses_the_model_on_every_route(front, path, seen):
    """Guards: each path of §1.1 leads to the body's model, under the path that the model knows,
    with its query; no other method is taken there."""
    assert front.corral.post(path + "?q=%20&x", {"model": "alias-a", "z": 1.0}).status == 200
    line, body = last_request(front)
    assert line == f"POST {seen or path}?q=%20&x HTTP/1.1"
    assert json.loads(body) == {"model": "alias-a", "z": 1.0}
    missing = front.corral.post(path, {"model": "nobody"})
    assert (missing.status, missing.error["code"]) == (404, "model_not_found")
    assert "no router for requested model" in missing.error["message"]
    answer = front.corral.request("DELETE", path)
    assert answer.status == 405
    assert answer.field("Allow").split(", ")[0] == "POST" or path in QUERIED


@pytest.mark.parametrize("path", FORMS)
def test_a_forms_field_chooses_the_model(front, path):
    """Guards: multipart routes find the name wherever its part stands, and keep every byte."""
    form = (
        b'--B\r\nContent-Disposition: form-data; name="file"; filename="model"\r\n\r\n\0\xff\r\n'
        b'--B\r\ncontent-disposition: form-data; name=model\r\n\r\nalias-a\r\n--B--\r\nepilogue'
    )
    fields = [("Content-Type", 'multipart/form-data; charset=utf-8; boundary="B"')]
    assert front.corral.post(path, form, fields=fields).status == 200
    assert last_request(front) == (f"POST {path} HTTP/1.1", form)


@pytest.mark.parametrize("path", QUERIED)
@pytest.mark.parametrize(
    "query", ["model=a", "autoload=1&model=a&x=%2F", "mod%65l=alias%2Da", "model=a&model=b"]
)
def test_a_query_chooses_the_model_and_stays_as_it_was(front, path, query):
    """Guards: GET routes go by ?model= and forward the query as it was written."""
    assert front.corral.get(f"{path}?{query}").status == 200
    assert last_request(front)[0] == f"GET {path}?{query} HTTP/1.1"


@pytest.mark.parametrize("path", QUERIED)
@pytest.mark.parametrize("query", ["", "?", "?model", "?model=", "?x=model=a", "?Model=a"])
def test_a_query_without_a_model_is_404(front, path, query):
    """Guards: llama-swap's words for a request that names nothing."""
    answer = front.corral.get(path + query)
    assert (answer.status, answer.error["code"]) == (404, "not_found")
    assert answer.error["message"].startswith("no model id could be identified")


def test_a_name_in_a_query_is_decoded_once(front):
    """Guards: + is a space and %2B a plus, as in any form; UTF-8 is taken as it is."""
    assert front.corral.get("/props?model=alias%2Ba").status == 200
    assert front.corral.get("/props?model=alias+a").status == 404
    assert front.corral.get("/props?model=alias%252Da").status == 404
    assert front.corral.get("/props?model=mod%C3%A8le").status == 200


@pytest.mark.parametrize(
    "sent,seen",
    [
        ("a/", "/"),
        ("a/?", "/?"),
        ("a/foo%2Fbar?x=1&y=%20", "/foo%2Fbar?x=1&y=%20"),
        ("a/a%252Fb", "/a%252Fb"),
        ("a/%e4%bd%A0", "/%e4%bd%A0"),
        ("a/x;y=1,2;z", "/x;y=1,2;z"),
        ("a/x?a;b&c=%zz&d=%", "/x?a;b&c=%zz&d=%"),
        ("a/..%2fb", "/..%2fb"),
        ("a/%2e%2e/b", "/%2e%2e/b"),
        ("a/%5Cx", "/%5Cx"),
        ("a/%7euser/~user", "/%7euser/~user"),
        ("a/!$&'()*+,;=:@-._~", "/!$&'()*+,;=:@-._~"),
        ("a/x//y?u=http://h//p/../q", None),
        ("a/trailing/", "/trailing/"),
        ("a/%41%20b", "/%41%20b"),
        ("%61/x", "/x"),
        ("alias%2Ba/x", "/x"),
        ("mod%C3%A8le/x", "/x"),
        ("a/upstream/a/x", "/upstream/a/x"),
        ("a/x?" + "q=%2F&" * 500, "/x?" + "q=%2F&" * 500),
    ],
)
def test_what_stands_behind_the_model_arrives_byte_for_byte(front, sent, seen):
    """Guards: /upstream forwards path and query with the client's own percent-encoding (§1.4)."""
    answer = front.corral.get(f"/upstream/{sent}")
    if seen is None:  # a path that is not clean is redirected, its query untouched
        assert answer.status == 307
        assert answer.field("Location") == "/upstream/a/x/y?u=http://h//p/../q"
        return
    assert answer.status == 200, answer
    assert last_request(front)[0] == f"GET {seen} HTTP/1.1"


@pytest.mark.parametrize(
    "sent,model,seen",
    [
        ("author/x", "author/model", "/x"),
        ("author/model/x", "author/model", "/x"),
        ("author%2Fmodel/x", "author/model", "/x"),
        ("author%2fmodel/model", "author/model", "/model"),
        ("author/model%2Fx", "author/model", "/model%2Fx"),
        ("author/models", "author/model", "/models"),
    ],
)
def test_the_longest_name_is_the_model(front, sent, model, seen):
    """Guards: author and author/model coexist, and an encoded slash may stand in a name (§1.4)."""
    assert front.corral.get(f"/upstream/{sent}").status == 200
    assert last_request(front, model)[0] == f"GET {seen} HTTP/1.1"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"])
def test_any_method_passes_upstream(front, method):
    """Guards: /upstream takes what the model's server may take (§1.3)."""
    answer = front.corral.request(method, "/upstream/a/page")
    assert answer.status == 200
    assert last_request(front)[0] == f"{method} /page HTTP/1.1"
    assert (answer.body == b"") == (method == "HEAD")


@pytest.mark.parametrize("method,status", [("GET", 301), ("HEAD", 301), ("POST", 308),
                                           ("DELETE", 308)])
@pytest.mark.parametrize("name", ["alias-a", "author/model", "author%2Fmodel", "mod%C3%A8le"])
def test_a_bare_model_is_redirected_under_the_name_it_was_asked_by(front, method, status, name):
    """Guards: the redirect keeps alias, encoding and query (§1.4)."""
    for query in ("", "?", "?x=%20&y"):
        answer = front.corral.request(method, f"/upstream/{name}{query}")
        assert (answer.status, answer.body) == (status, b"")
        assert answer.field("Location") == f"/upstream/{name}/{query}"


@pytest.mark.parametrize(
    "path,location",
    [
        ("//v1/models", "/v1/models"),
        ("/v1//chat/completions?x=1", "/v1/chat/completions?x=1"),
        ("/a/../v1/models", "/v1/models"),
        ("/v1/./models", "/v1/models"),
        ("/upstream/a//x", "/upstream/a/x"),
        ("/upstream/a/b/../x?q=..", "/upstream/a/x?q=.."),
        ("//evil.example/%2e", None),
        ("//evil.example/x", "/evil.example/x"),
        ("/\\evil.example", None),
    ],
)
def test_paths_that_are_not_clean_are_redirected(front, path, location):
    """Guards: 307 to the clean path with its query (§1.0), and never to another host."""
    answer = front.corral.get(path)
    if location is None:
        assert answer.status == 400
        return
    assert (answer.status, answer.field("Location")) == (307, location)


@pytest.mark.parametrize(
    "path", ["/v1/models/", "/v1/chat/completions/", "/v1", "/v", "/v1/files", "/v1/batches",
             "/v1/moderations", "/v1/realtime", "/embeddings", "/V1/models", "/upstream/",
             "/v/rerank/x", "/audioapi/v1/tasks", "/props/", "/healthz"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_no_route_is_404(front, method, path):
    """Guards: no variants with a slash, no guesses; the error has the shape of all others."""
    answer = front.corral.request(method, path, {"model": "a"} if method == "POST" else None)
    assert (answer.status, answer.error["type"]) == (404, "invalid_request_error"), answer


@pytest.mark.parametrize(
    "method,path,allow",
    [
        ("POST", "/health", "GET, HEAD"),
        ("GET", "/v1/chat/completions", "POST"),
        ("HEAD", "/v1/chat/completions", "POST"),
        ("DELETE", "/v1/audio/voices", "POST, GET, HEAD"),
        ("POST", "/v1/models", "GET, HEAD"),
        ("GET", "/api/models/unload", "POST"),
        ("POST", "/unload", "GET, HEAD"),
        ("GET", "/api/profiles/active", "PUT"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(front, method, path, allow):
    """Guards: 405 with Allow (§1.0)."""
    answer = front.corral.request(method, path)
    assert answer.status == 405
    assert set(answer.field("Allow").split(", ")) == set(allow.split(", "))


@pytest.mark.parametrize("path", ["/health", "/wol-health", "/v1/models", "/models", "/running",
                                  "/v1/models/a", "/api/version", "/api/profiles"])
def test_head_is_get_without_its_body(front, path):
    """Guards: HEAD has GET's status, type and length on every route that GET has."""
    with front.corral.connect() as connection:
        full = connection.request("GET", path)
        empty = connection.request("HEAD", path)
        assert (empty.status, empty.body) == (full.status, b"")
        assert empty.field("Content-Type") == full.field("Content-Type")
        assert empty.field("Content-Length") == str(len(full.body))


@pytest.mark.parametrize("name", ["a", "author/model", "author%2Fmodel"])
def test_one_model_can_be_asked_for(front, name):
    """Guards: GET /v1/models/{id} is the record of the list, slashes in the name included."""
    answer = front.corral.get(f"/v1/models/{name}")
    assert (answer.status, answer.json()["object"]) == (200, "model")
    assert answer.json()["id"] == name.replace("%2F", "/")
    missing = front.corral.get("/v1/models/nobody")
    assert (missing.status, missing.error["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("path", ["/v1/models", "/nope", "/upstream/a/x", "/v1/completions", "*"])
def test_every_options_is_answered_here(front, path):
    """Guards: 204 for any path, whether it exists or not (§1.0); nothing reaches a model, and pages
    of other sites are refused."""
    seen = len(front.engines["a"].recorded)
    for origin in (None, "http://localhost:3000"):
        asked = [("Origin", origin)] if origin else []
        asked.append(("Access-Control-Request-Headers", "x-own, a b"))
        answer = front.corral.request("OPTIONS", path, fields=asked)
        assert (answer.status, answer.body) == (204, b"")
        assert answer.all("Access-Control-Allow-Origin") == [origin or "*"]
        assert answer.all("Access-Control-Allow-Headers") == ["x-own"]
        assert answer.all("Access-Control-Max-Age") == ["86400"]
    answer = front.corral.request("OPTIONS", path, fields=[("Origin", "http://localhost.evil")])
    assert answer.status == 403
    assert answer.all("Access-Control-Allow-Origin") == []
    assert len(front.engines["a"].recorded) == seen


def test_the_list_of_models_may_be_read_by_pages_of_this_machine(front):
    """Guards: a page that is served elsewhere on this machine finds the models (§1.0); another one
    that asks cannot read them."""
    for path in ("/v1/models", "/models"):
        answer = front.corral.get(path, fields=[("Origin", "http://127.0.0.1:3000")])
        assert answer.field("Access-Control-Allow-Origin") == "http://127.0.0.1:3000"
        answer = front.corral.get(path, fields=[("Origin", "http://example.org")])
        assert answer.status == 200
        assert answer.field("Access-Control-Allow-Origin") is None
        assert answer.field("Vary") == "Origin"


def test_no_case_above_started_a_model_that_it_did_not_name(front):
    """Guards: nothing is loaded by a redirect, an error or a list."""
    assert front.engines["never"].starts == []
