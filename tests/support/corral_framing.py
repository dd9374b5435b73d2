"""Requests on a bare socket that two servers could read differently, and what Corral made of them.

A case is bytes. Behind each goes another request, the *smuggled* one: it is answered when it stands
on its own, and never when the case hides it. What reached the model is compared byte for byte, but
for the fields that Corral adds by itself (OWN_FIELDS), which other tests are about.
"""

from corral_harness import Yard
from corral_http import Closed, chunked, split_requests

BODY = b'{"model":"a"}'
N = str(len(BODY)).encode()
HEX = b"%x" % len(BODY)
CL = b"Content-Length: "
CRLF = b"\r\n"
HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
SMUGGLED = b"GET /upstream/a/smuggled HTTP/1.1\r\n" + HOST + CRLF
SMUGGLED_UP = b"GET /smuggled HTTP/1.1\r\n" + HOST + CRLF
OWN_FIELDS = (b"x-forwarded-", b"x-request-id:", b"via:")


def get(fields=b"", target=b"/upstream/a/page", version=b"HTTP/1.1", host=HOST, method=b"GET"):
    return method + b" " + target + b" " + version + CRLF + host + fields + CRLF


def get_up(fields=b"", target=b"/page", method=b"GET", host=HOST):
    """What the model should see of such a request."""
    return method + b" " + target + b" HTTP/1.1\r\n" + host + fields + CRLF


def post(fields, body=BODY, line=b"POST /v1/completions HTTP/1.1", host=HOST):
    return line + CRLF + JSON + host + fields + CRLF + body


def with_length(fields=b"", body=BODY):
    return post(fields + CL + b"%d" % len(body) + CRLF, body)


def te(value, body=None, more=b"", name=b"Transfer-Encoding"):
    """A request with this Transfer-Encoding; `more` may be the Content-Length that hides another
    request."""
    return post(more + name + b": " + value + CRLF, chunked(BODY) if body is None else body)


def raw_chunks(raw, more=b""):
    return post(b"Transfer-Encoding: chunked\r\n" + more, raw)


def length_up(body=BODY, fields=b""):
    """A request with a body as the model should see it: with its length …"""
    return (b"POST /v1/completions HTTP/1.1\r\n" + HOST + JSON + fields
            + CL + b"%d\r\n\r\n" % len(body) + body)


def chunked_up(*pieces, fields=b""):
    """… or chunked, and then as these chunks."""
    return (b"POST /v1/completions HTTP/1.1\r\n" + HOST + JSON + fields
            + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(*pieces))


def without_own_fields(recorded):
    """What a model recorded, request by request as raw bytes, without the fields of our own."""
    split_requests(recorded)  # which fails when it could be read in two ways
    found = []
    while recorded:
        head, _, recorded = recorded.partition(CRLF * 2)
        lines = [line for line in head.split(CRLF) if not line.lower().startswith(OWN_FIELDS)]
        fields = dict(line.lower().split(b": ", 1) for line in lines[1:])
        size = int(fields.get(b"content-length", 0))
        if b"transfer-encoding" in fields:
            while piece := int(recorded[size : recorded.index(CRLF, size)], 16):
                size = recorded.index(CRLF, size) + 2 + piece + 2
            size = recorded.index(CRLF, size) + 4
        found.append(CRLF.join(lines) + CRLF * 2 + recorded[:size])
        recorded = recorded[size:]
    return found


class Outcome:
    """What came of one case."""

    def __init__(self, answers, closed, received):
        self.answers, self.closed, self.received = answers, closed, received

    @property
    def statuses(self):
        return [answer.status for answer in self.answers]


class Front:
    """One Corral and one model for many cases: a case that harms it fails those that follow."""

    def __init__(self, folder):
        self.yard = Yard(folder)
        self.engine = self.yard.engine("a")
        self.corral = self.yard.serve()
        assert self.corral.get("/upstream/a/warm").status == 200

    def close(self):
        try:
            assert self.corral.get("/health").status == 200
        finally:
            self.yard.close()

    def received_by(self, act):
        """What the model receives while `act` runs: all, once another request has gone through."""
        seen = len(self.engine.recorded)
        result = act()
        assert self.corral.get("/upstream/a/barrier").status == 200
        received = self.engine.recorded[seen:]
        return result, received[: received.rindex(b"GET /barrier ")]

    def run(self, sent, methods=(), behind=SMUGGLED):
        """Sends a case and the smuggled request behind it."""
        (answers, closed), received = self.received_by(
            lambda: self._ask(sent, list(methods), behind))
        return Outcome(answers, closed, received)

    def _ask(self, sent, methods, behind):
        answers = []
        with self.corral.connect() as connection:
            connection.try_send(sent)
            connection.try_send(behind)
            try:
                while len(answers) < 8:
                    method = methods.pop(0) if methods else "POST"
                    answers.append(connection.read_response(method))
                    if b"/smuggled" in answers[-1].body:
                        return answers, False
                    if answers[-1].field("Connection") == "close":
                        return answers, connection.read_until_closed() == b""
            except Closed:
                pass
        return answers, True


def assert_refused(outcome, status):
    """One answer, then the end of the connection; the model saw not a byte."""
    assert outcome.received == b"", "the model saw something of a request that must be refused"
    assert outcome.statuses == [status], outcome.answers
    (answer,) = outcome.answers
    assert answer.field("Connection") == "close" and outcome.closed
    assert len(answer.all("Date")) == 1
    assert answer.complete
