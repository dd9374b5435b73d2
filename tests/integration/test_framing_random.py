"""What is not clean HTTP never reaches a model as something else than it was, part three: heads
that nobody thought of, from a fixed seed. See test_framing.py and corral_framing.py."""

import random
import re

import pytest
from corral_framing import CRLF, SMUGGLED, Front, get
from corral_http import split_requests


@pytest.fixture(scope="module")
def front(tmp_path_factory):
    made = Front(tmp_path_factory.mktemp("random"))
    yield made
    made.close()


# What a mutation puts into a head. None of it announces a body that would be waited for.
NASTY = [b"\0", b"\n", b"\r", CRLF, CRLF * 2, b" ", b"\t", b":", b",", b";", b"\x0b", b"\x7f",
         b"\xa0", b"\\", b"%00", b"#", b"Host: x\r\n", b"Content-Length: 0\r\n", 
         b"Content-Length: +0\r\n",
         b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding:chunked ,\r\n", b"0\r\n\r\n",
         b"Connection: close, X\r\n", b"Connection: host\r\n", b"X\r\n y: z\r\n", b"HTTP/1.1\r\n"]
LINE = re.compile(rb"[A-Z0-9!#$%&'*+.^_`|~-]+ /[!-\"$-~]* HTTP/1\.1")
FIELD = re.compile(
    rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+: ([!-~\x80-\xff]([\t -~\x80-\xff]*[!-~\x80-\xff])?)?")


def mutated(sent, chance):
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(sent))
        kind = chance.randrange(4)
        if kind == 0:
            sent = sent[:at] + sent[at + 1 + chance.randrange(4) :] or b"x"
        elif kind == 1:
            sent = sent[:at] + bytes([sent[at] ^ 1 << chance.randrange(8)]) + sent[at + 1 :]
        elif kind == 2:
            sent = sent[:at] + sent[at : at + chance.randrange(30)] + sent[at:]
        else:
            sent = sent[:at] + chance.choice(NASTY) + sent[at:]
    return sent


def test_whatever_is_sent_the_model_sees_what_was_answered_and_nothing_else(front):
    """Guards: over hundreds of broken heads, each with the smuggled request behind it, every
    request that the model saw was answered to the client that sent it, in order and in canonical
    form."""
    chance = random.Random(9112)
    whole = get(b"X-A: 1\r\nAccept: */*\r\nConnection: keep-alive\r\nX-B: 2\r\n")

    def ask(connection):
        """What the model answered on this connection, until its end or the smuggled request's."""
        told = []
        while not told or told[-1][1] != "/smuggled":
            answer = connection.read_response("GET")
            if answer.field("Server") == "fake":
                told.append((answer.json()["method"], answer.json()["target"]))
            if answer.field("Connection") == "close":
                break
        return told

    def act():
        told = []
        for _ in range(400):
            with front.corral.connect() as connection:
                connection.try_send(mutated(whole, chance) + SMUGGLED)
                told += ask(connection)
        return told

    told, received = front.received_by(act)
    seen = []
    for head, _ in split_requests(received):
        line, *fields = head.split(CRLF)
        assert LINE.fullmatch(line) and all(FIELD.fullmatch(field) for field in fields), head
        names = [field.split(b":")[0].lower() for field in fields]
        assert names.count(b"host") == 1 and b"connection" not in names, head
        seen.append(tuple(line.decode().split(" ")[:2]))
    assert len(told) > 100 and told == seen
