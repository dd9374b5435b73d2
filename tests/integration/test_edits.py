"""What of a request changes on its way to a model, and that nothing else does: llama-swap's
transcripts (the contract's Appendix A) byte for byte, but for what Corral refuses on purpose."""

import json

import pytest
from corral_harness import poll_until
from corral_http import chunked, make_request

CHAT = "/v1/chat/completions"
FORM = [("Content-Type", "multipart/form-data; boundary=B")]
URLENCODED = [("Content-Type", "application/x-www-form-urlencoded")]
TEXT = [("Content-Type", "text/plain")]
FILTERS = {
    "stripParams": "temperature, top_p",
    "setParams": {"x": 1, "nested.key": 5},
    "setParamsByID": {"a:high": {"effort": "high"}},
}


def appendix_a(yard, limits=None, **options):
    keys = {"aliases": ["alias-a", "org/alias"], "useModelName": "real-a", "filters": FILTERS}
    yard.engine("a", keys, **options)
    yard.engine("b", {"concurrencyLimit": 2}, gate=True)
    yard.engine("org/model")
    return yard.serve(limits=limits or {})


def field_of(head, name):
    """The values of one field of a recorded head."""
    lines = [line.partition(b":") for line in head.lower().split(b"\r\n")[1:]]
    return [value.strip() for key, _, value in lines if key == name.lower().encode()]


@pytest.mark.parametrize(
    "sent,received",
    [
        (
            '{"model":"a","temperature":1,"top_p":2,"messages":[]}',
            '{"model":"real-a","messages":[],"nested":{"key":5},"x":1}',
        ),
        (
            '{"model":"a:high","messages":[{"x":1.0,"y":"\\u00e9"}] ,  "z":null}',
            '{"model":"real-a","messages":[{"x":1.0,"y":"\\u00e9"}] ,  "z":null,'
            '"nested":{"key":5},"x":1,"effort":"high"}',
        ),
        (
            '{"x":0,"nested":{"key":1,"other":1.50},"temp\\u0065rature":1,"model":"alias-a"}\n',
            '{"x":1,"nested":{"key":5,"other":1.50},"model":"real-a"}\n',
        ),
    ],
)
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_filters_change_their_paths_and_no_other_byte(yard, sent, received, framing):
    """Guards: useModelName, stripParams, setParams and setParamsByID as llama-swap applies them;
    the edited body leaves with its length, whatever framing it came with."""
    corral = appendix_a(yard)
    body = sent.encode()
    if framing == "length":
        answer = corral.post(CHAT, body)
    else:
        pieces = chunked(body[:9], body[9:10], body[10:])
        answer = corral.post(CHAT, pieces, fields=[("Transfer-Encoding", "chunked")])
    assert answer.status == 200, answer
    ((head, got),) = yard.engines["a"].requests
    assert got == received.encode()
    assert field_of(head, "Content-Length") == [str(len(received)).encode()]
    assert field_of(head, "Transfer-Encoding") == []


@pytest.mark.parametrize(
    "path,name,upstream_path",
    [
        ("/v/chat/completions", "org/alias", "/chat/completions"),
        ("/audioapi/v1/tasks/run", "a", "/v1/tasks/run"),
    ],
)
def test_prefixes_of_paths_are_taken_away(yard, path, name, upstream_path):
    """Guards: versionless and audio paths reach the model without their prefix, edits included."""
    corral = appendix_a(yard)
    assert corral.post(path, {"model": name}).status == 200
    ((head, body),) = yard.engines["a"].requests
    assert head.startswith(f"POST {upstream_path} HTTP/1.1\r\n".encode())
    assert body == b'{"model": "real-a","nested":{"key":5},"x":1}'


@pytest.mark.parametrize(
    "query,body,fields,status,phrase",
    [
        ("", "{}", [], 404, "no model id could be identified"),
        ("", "xx", [], 400, "not valid JSON"),
        ("", '{"model":"a","model":"b"}', [], 400, "more than once"),
        ("", '{"model":"zzz"}', [], 404, "no router for requested model"),
        ("", '{"model":123}', [], 404, "no router for requested model"),
        ("?model=a", "{}", [], 404, "no model id could be identified"),
    ],
)
def test_what_names_no_model_is_refused(yard, query, body, fields, status, phrase):
    """Guards: each refusal of Appendix A has its status and llama-swap's own words in it."""
    corral = appendix_a(yard)
    answer = corral.post(CHAT + query, body, fields=fields)
    assert answer.status == status, answer
    assert phrase in answer.error["message"]
    accept = [("Accept", "text/plain")]
    answer = corral.post(CHAT + query, body, fields=[*fields, *accept])
    assert answer.status == status
    assert answer.body.startswith(b"corral: ") and phrase.encode() in answer.body
    assert yard.engines["a"].starts == []


@pytest.mark.parametrize(
    "query,body,fields",
    [
        ("?model=a", b"hello", TEXT),
        ("", b"model=a&foo=bar&temperature=1", URLENCODED),
    ],
)
def test_bodies_that_are_not_json_pass_as_they_are(yard, query, body, fields):
    """Guards: neither useModelName nor filters touch text and urlencoded forms, as with the
    peer."""
    corral = appendix_a(yard)
    assert corral.post(CHAT + query, body, fields=fields).status == 200
    ((head, got),) = yard.engines["a"].requests
    assert got == body
    assert head.startswith(f"POST {CHAT}{query} HTTP/1.1\r\n".encode())


def test_a_form_has_its_name_replaced_and_nothing_else(yard):
    """Guards: multipart parts keep their order, heads and bytes; filters are for JSON only."""
    corral = appendix_a(yard)
    form = (
        b'--B\r\nContent-Disposition: form-data; name="file"; filename="x.wav"\r\n'
        b"Content-Type: audio/wav\r\nX-Own: 1\r\n\r\n\x00\xff\r\n--\r\n"
        b'--B\r\nContent-Disposition: form-data; name="model"\r\n\r\n%s\r\n'
        b'--B\r\nContent-Disposition: form-data; name="temperature"\r\n\r\n1\r\n--B--\r\n'
    )
    path = "/v1/audio/transcriptions"
    assert corral.post(path, form % b"a", fields=FORM).status == 200
    ((head, got),) = yard.engines["a"].requests
    assert got == form % b"real-a"
    assert field_of(head, "Content-Type") == [b"multipart/form-data; boundary=b"]


@pytest.mark.parametrize(
    "target,upstream_target",
    [
        ("/props?model=a&autoload=1", "/props?model=a&autoload=1"),
        ("/upstream/a/foo%2Fbar?x=1&y=%20", "/foo%2Fbar?x=1&y=%20"),
        ("/upstream/org/alias/q", "/q"),
    ],
)
def test_targets_reach_the_model_as_they_were_written(yard, target, upstream_target):
    """Guards: queries and percent-encoding are not decoded and encoded anew."""
    corral = appendix_a(yard)
    corral.get(target)
    ((head, _),) = yard.engines["a"].requests
    assert head.startswith(f"GET {upstream_target} HTTP/1.1\r\n".encode())


def test_below_upstream_no_body_is_edited(yard):
    """Guards: /upstream/ is the model's own API; what is sent there arrives."""
    corral = appendix_a(yard)
    body = b'{"model":"a","temperature":1}'
    assert corral.post("/upstream/a/v1/completions", body).status == 200
    assert yard.engines["a"].requests[0][1] == body


def test_the_third_request_at_a_limit_of_two_is_429(yard):
    """Guards: the refusal of too many at once, byte for byte but for its source."""
    corral = appendix_a(yard)
    engine = yard.engines["b"]
    held = [corral.connect(), corral.connect()]
    for number, connection in enumerate(held, 1):
        connection.send(make_request("POST", CHAT, {"model": "b"}))
        poll_until(lambda: engine.count("request POST") == number, 15, "the request upstream")
    answer = corral.post(CHAT, {"model": "b"}, fields=[("Accept", "text/plain")])
    assert (answer.status, answer.field("Retry-After")) == (429, "1")
    assert answer.field("Content-Type") == "application/json"
    assert answer.body == (
        b'{"src":"corral","error":{"message":"Too many requests","type":"rate_limit_error",'
        b'"param":null,"code":"concurrency_limit"}}'
    )
    engine.open_gate(100)
    for connection in held:
        assert connection.read_response().status == 200
        connection.close()


def test_an_upstream_that_dies_in_a_request_is_502(yard):
    """Guards: a model that is killed before it answers is the upstream's failure, and the edited
    body is not lost for the next one."""
    corral = appendix_a(yard, die_on_request=True, signal=9)
    answer = corral.post(CHAT, {"model": "a"})
    assert answer.status == 502, answer
    assert answer.error["code"] == "bad_gateway"


def test_an_edited_body_goes_out_again_whole(yard):
    """Guards: the retry after a stale connection sends the edited bytes once, with their length."""
    corral = appendix_a(yard, close_after=True)
    engine = yard.engines["a"]
    for number in range(50):
        answer = corral.post(CHAT, {"top_p": 1, "model": "a", "n": number})
        assert answer.status == 200, (number, answer)
    assert [body for _, body in engine.requests] == [
        b'{ "model": "real-a", "n": %d,"nested":{"key":5},"x":1}' % number for number in range(50)
    ]


def test_a_body_too_large_for_its_filters_is_413(yard):
    """Guards: filters hold a body whose model is long known, within limits.bodyBuffered; a model
    without them streams it, with useModelName too."""
    yard.engine("named", {"useModelName": "real"})
    corral = appendix_a(yard, limits={"bodyBuffered": "64KiB"})
    body = b'{"model":"%s","prompt":"' + b"x" * 200_000 + b'"}'
    with corral.connect() as connection:
        connection.try_send(make_request("POST", CHAT, body % b"a"))
        answer = connection.read_response()
    assert answer.status == 413, answer
    assert "filters" in answer.error["message"]
    assert yard.engines["a"].recorded == b""
    assert corral.post(CHAT, body % b"named").status == 200
    assert yard.engines["named"].requests[0][1] == body % b"real"


def test_malformed_json_behind_the_model_never_reaches_it(yard):
    """Guards: what cannot be parsed is refused, not rebuilt from the edits as the peer does."""
    corral = appendix_a(yard)
    answer = corral.post(CHAT, '{"model":"a", bad')
    assert answer.status == 400, answer
    assert answer.error["type"] == "invalid_request_error"
    assert yard.engines["a"].recorded == b""


def test_a_client_that_leaves_while_its_body_is_held_costs_nothing(yard):
    """Guards: a held body has reached nobody, and its bytes are given back."""
    corral = appendix_a(yard, limits={"bodyBuffered": "300KiB", "bodyBufferedTotal": "300KiB"})
    begin = b'{"model":"a","prompt":"' + b"x" * 200_000
    for _ in range(3):
        with corral.connect() as connection:
            connection.send(make_request("POST", CHAT, begin, [("Content-Length", "250000")]))
            connection.reset()
    whole = begin + b'"}'

    def is_served():
        answer = corral.post(CHAT, whole)
        assert answer.status in (200, 503), answer
        return answer.status == 200

    poll_until(is_served, 15, "the held bytes to be given back")
    assert yard.engines["a"].requests[-1][1].endswith(b'","nested":{"key":5},"x":1}')


@pytest.mark.parametrize(
    "filters,sent,received",
    [
        ({"setParams": {"a.0": 1}}, {"a": [0, 2]}, {"a": [1, 2]}),
        ({"setParams": {"a.-1": 1}}, {"a": [0]}, {"a": [0, 1]}),
        ({"setParams": {"a.1.b": [1, {"c": None}]}}, {}, {"a": [None, {"b": [1, {"c": None}]}]}),
        ({"setParams": {"a\\.b": 1.5}}, {"a": {"b": 2}}, {"a": {"b": 2}, "a.b": 1.5}),
        ({"setParams": {"a.b": True}}, {"a": None}, {"a": {"b": True}}),
        ({"stripParams": "a.b,a.c.0"}, {"a": {"b": 1, "c": [1, 2]}}, {"a": {"c": [2]}}),
        ({"stripParams": "model"}, {}, {}),
        ({"setParams": {"model": "x", "y": "z"}}, {}, {"y": "z"}),
    ],
)
def test_paths_name_what_they_name_in_llama_swap(yard, filters, sent, received):
    """Guards: indexes, -1, escaped dots, missing parents; `model` is no parameter."""
    engine = yard.engine("a", {"filters": filters})
    corral = yard.serve()
    assert corral.post(CHAT, {"model": "a", **sent}).status == 200
    assert json.loads(engine.requests[0][1]) == {"model": "a", **received}


def test_a_value_without_a_place_is_the_clients_mistake(yard):
    """Guards: a body that a setting does not fit is refused with the reason, not sent without."""
    yard.engine("a", {"filters": {"setParams": {"messages.x": 1}}})
    corral = yard.serve()
    answer = corral.post(CHAT, {"model": "a", "messages": []})
    assert answer.status == 400, answer
    assert 'an array has no key "x"' in answer.error["message"]
    assert yard.engines["a"].starts == []
