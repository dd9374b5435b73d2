"""What an answer says of its tokens stands in its request's line of the log."""

import pytest
from corral_http import make_request
from corral_processes import poll_until
from corral_upstream import serve_here_and_there

EVENTS = (
    b'data: {"choices":[{"delta":{"content":"\\"usage\\":{}"}}],"usage":null}\n\n',
    b'data: {"choices":[],"usage":{"prompt_tokens":11,"completion_tokens":5,'
    b'"prompt_tokens_details":{"cached_tokens":8}}}\n\n',
    b"data: [DONE]\n\n",
)
DOCUMENT = (
    b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4},"timings":{"prompt_n":3,'
    b'"predicted_n":4,"prompt_per_second":100.0,"predicted_per_second":25.5}}'
)
REFUSAL = b'{"error":{"message":"the prompt is too long"}}'


def plain(status, kind, body):
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def chunked(pieces):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    head += b"Transfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


def torn(body, size):
    return [body[at : at + size] for at in range(0, len(body), size)]


STREAM = " tokens_in=11 tokens_cached=8 tokens_out=5 "
CASES = {
    "events": (chunked(EVENTS), STREAM),
    "torn events": (chunked(torn(b"".join(EVENTS), 7)), STREAM),
    "document": (
        plain("200 OK", "application/json", DOCUMENT),
        " tokens_in=3 tokens_out=4 prompt_per_second=100.0 tokens_per_second=25.5 ",
    ),
    "nothing": (plain("200 OK", "application/json", b"{}"), None),
    "refusal": (
        plain("400 Bad Request", "application/json", REFUSAL),
        ' reason="the prompt is too long" ',
    ),
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    yield from serve_here_and_there(tmp_path_factory.mktemp("usage"))


def logged(yard, target, name, answer):
    """The log's line of a request that the model answers with these bytes."""
    mark = f" path={target} "  # not the line of the load before it, which may come late
    before = yard.corral.log.count(mark)
    with yard.corral.connect() as client:
        client.send(make_request("POST", target, {"model": name, "stream": True}))
        upstream = yard.upstream.accept()
        upstream.read_request()
        upstream.send(answer)
        client.read_response()
        upstream.close()
    poll_until(lambda: yard.corral.log.count(mark) > before, what="the request's line")
    return [line for line in yard.corral.log.splitlines() if mark in line][-1]


@pytest.mark.parametrize("name", ["here", "there"])
@pytest.mark.parametrize("case", CASES)
def test_an_answers_tokens_are_logged(shared, name, case):
    """Guards: tokens and speed are read from the passing bytes, from the last event that has them,
    and what an answer does not say is not made up."""
    answer, expected = CASES[case]
    line = logged(shared, "/v1/chat/completions", name, answer)
    if expected is None:
        assert "tokens" not in line and "reason" not in line
    else:
        assert expected in line


def test_what_is_no_inference_is_not_read(shared):
    """Guards: only routes that have tokens are metered, below /upstream as well."""
    answer, expected = CASES["document"]
    assert expected in logged(shared, "/upstream/here/v1/chat/completions", "here", answer)
    assert "tokens" not in logged(shared, "/upstream/here/other", "here", answer)
