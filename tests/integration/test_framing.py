"""What is not clean HTTP never reaches a model as something else than it was, part one: heads. Each
case names the rule or the advisory that it comes from; corral_framing.py says how it is run.

The oracle is the same for all: a refused request gets one answer and the end of its connection, and
the model sees not a byte of it; what is accepted reaches the model in one canonical form, byte for
byte; and the request behind the case is run only where it stands on its own.
"""

import pytest
from corral_framing import (
    BODY,
    CL,
    CRLF,
    HEX,
    HOST,
    JSON,
    N,
    SMUGGLED_UP,
    Front,
    assert_refused,
    chunked_up,
    get,
    get_up,
    length_up,
    post,
    te,
    with_length,
    without_own_fields,
)
from corral_http import chunked

WITH_CL = CL + N + CRLF

# Request line, RFC 9112 §3, and what is no HTTP/1.1 at all: (status, bytes).
LINES = {
    "9112-2.2 two empty lines before": (400, CRLF * 2 + get()),
    "9112-2.2 empty line of LF before": (400, b"\n" + get()),
    "9112-2.2 empty line of CR before": (400, b"\r" + get()),
    "9112-2.2 line ends of LF only": (400, get().replace(CRLF, b"\n")),
    "9112-2.2 request line ends with LF": (400, get().replace(CRLF, b"\n", 1)),
    "9112-2.2 request line ends with CR": (400, get().replace(CRLF, b"\r", 1)),
    "9112-2.2 request line ends with CR CR LF": (400, get().replace(CRLF, b"\r\r\n", 1)),
    "9112-2.2 head ends with LF": (400, get()[:-2] + b"\n"),
    "9112-2.2 head ends with LF LF": (400, get()[:-4] + b"\n\n"),
    "9112-2.2 head ends with LF CR LF": (400, get()[:-4] + b"\n\r\n"),
    "9112-2.2 space behind the request line": (400, get(host=b" X: y\r\n" + HOST)),
    "9112-2.2 tab behind the request line": (400, get(host=b"\tX: y\r\n" + HOST)),
    "9112-2.2 space before the request line": (400, b" " + get()),
    "9112-3 two spaces behind the method": (400, get(method=b"GET ")),
    "9112-3 two spaces before the version": (400, get(version=b" HTTP/1.1")),
    "9112-3 space behind the version": (400, get(version=b"HTTP/1.1 ")),
    "9112-3 text behind the version": (400, get(version=b"HTTP/1.1 x")),
    "9112-3 tabs": (400, b"GET\t/upstream/a/page\tHTTP/1.1\r\n" + HOST + CRLF),
    "9112-3 tab behind the method": (400, get(method=b"GET\t")),
    "9112-3 vertical tab behind the method": (400, get(method=b"GET\x0b")),
    "9112-3 form feed before the version": (400, get(version=b"\x0cHTTP/1.1")),
    "9112-3 no-break space (CVE-2022-24761 waitress)": (400, get(method=b"GET\xa0")),
    "9112-3 empty target": (400, get(target=b"")),
    "9112-3 space in the target": (400, get(target=b"/upstream/a/pa ge")),
    "9112-3 smuggled version in the target": (400, get(target=b"/upstream/a/x HTTP/1.1 /y")),
    "9112-3 tab in the target": (400, get(target=b"/upstream/a/pa\tge")),
    "9112-3 NUL in the target": (400, get(target=b"/upstream/a/pa\0ge")),
    "9112-3 bell in the target": (400, get(target=b"/upstream/a/pa\x07ge")),
    "9112-3 DEL in the target": (400, get(target=b"/upstream/a/pa\x7fge")),
    "9112-3 bare CR in the target": (400, get(target=b"/upstream/a/pa\rge")),
    "9112-3.2 fragment": (400, get(target=b"/upstream/a/page#x")),
    "9112-3.2 target without a slash": (400, get(target=b"upstream/a/page")),
    "9112-3.2 target is a query": (400, get(target=b"?x=/upstream/a/page")),
    "9112-3.2 backslash for a slash": (400, get(target=b"\\upstream\\a\\page")),
    "9112-3.2.3 authority-form without CONNECT": (400, get(target=b"localhost:80")),
    "9112-3.2.4 asterisk without OPTIONS": (400, get(target=b"*")),
    "9112-3.2.4 asterisk and more": (400, get(target=b"*/x", method=b"OPTIONS")),
    "9112-3.2.2 scheme ftp": (400, get(target=b"ftp://localhost/upstream/a/page")),
    "9112-3.2.2 scheme file": (400, get(target=b"file:///etc/passwd")),
    "9112-3.2.2 scheme ws": (400, get(target=b"ws://localhost/upstream/a/page")),
    "9112-3.2.2 one slash": (400, get(target=b"http:/localhost/upstream/a/page")),
    "9110-4.2.1 empty authority": (400, get(target=b"http:///upstream/a/page")),
    "9110-4.2.4 userinfo": (400, get(target=b"http://localhost@evil/upstream/a/page")),
    "9112-3.2.2 port of letters": (400, get(target=b"http://localhost:x/upstream/a/page")),
    "9112-3.2.2 port too large": (400, get(target=b"http://localhost:65536/upstream/a/page")),
    "9112-3.2.2 bad IPv6": (400, get(target=b"http://[::1/upstream/a/page")),
    "9112-3.2.2 backslash in the authority": (
        400, get(target=b"http://localhost\\@evil/upstream/a/page")),
    "9112-3.2.2 absolute-form without Host": (
        400, get(target=b"http://localhost/upstream/a/page", host=b"")),
    "9112-3.2.2 absolute-form with a bad Host": (
        400, get(target=b"http://localhost/upstream/a/page", host=b"Host: a b\r\n")),
    "9110-9.1 bracket in the method": (400, get(method=b"G[T")),
    "9110-9.1 at sign in the method": (400, get(method=b"G@T")),
    "9110-9.1 colon behind the method": (400, get(method=b"GET:")),
    "9110-9.1 quoted method": (400, get(method=b'"GET"')),
    "9110-9.1 NUL in the method": (400, get(method=b"GE\0T")),
    "9110-9.1 no method": (400, get(method=b"")),
    "9110-9.1 method of 40 bytes": (400, get(method=b"G" * 40)),
    "9110-9.1 method in lower case": (501, get(method=b"get")),
    "9110-9.1 method in mixed case": (501, get(method=b"Post")),
    "9110-9.3.6 CONNECT": (501, get(target=b"localhost:80", method=b"CONNECT")),
    "9110-9.3.6 CONNECT with a path": (501, get(method=b"CONNECT")),
    "9110-9.3.6 CONNECT with a body": (
        501, post(WITH_CL, line=b"CONNECT localhost:80 HTTP/1.1")),
    "9112-2.3 no version (HTTP/0.9)": (400, b"GET /upstream/a/page\r\n\r\n"),
    "9112-2.3 no version, the head not ended (HTTP/0.9)": (400, b"GET /upstream/a/page\r\n"),
    "9112-2.3 lower case": (400, get(version=b"http/1.1")),
    "9112-2.3 mixed case": (400, get(version=b"Http/1.1")),
    "9112-2.3 two digits of minor": (400, get(version=b"HTTP/1.10")),
    "9112-2.3 leading zero": (400, get(version=b"HTTP/01.1")),
    "9112-2.3 no minor": (400, get(version=b"HTTP/1")),
    "9112-2.3 no dot": (400, get(version=b"HTTP/11")),
    "9112-2.3 comma for the dot": (400, get(version=b"HTTP/1,1")),
    "9112-2.3 sign": (400, get(version=b"HTTP/+1.1")),
    "9112-2.3 minor of a letter": (400, get(version=b"HTTP/1.x")),
    "9112-2.3 space inside": (400, get(version=b"HTTP/ 1.1")),
    "9112-2.3 other name": (400, get(version=b"HTTPS/1.1")),
    "9112-2.3 RTSP": (400, b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
    "9112-2.3 ICAP": (400, b"OPTIONS icap://localhost/x ICAP/1.0\r\nHost: localhost\r\n\r\n"),
    "9110-15.6.6 HTTP/0.9": (505, get(version=b"HTTP/0.9")),
    "9110-15.6.6 HTTP/2.0": (505, get(version=b"HTTP/2.0")),
    "9110-15.6.6 HTTP/3.1": (505, get(version=b"HTTP/3.1")),
    "9113-3.4 HTTP/2 preface": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)),
    "8446-4 TLS hello": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64)),
    "SSLv2 hello": (400, b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10"),
    "SSH banner": (400, b"SSH-2.0-OpenSSH_9.2\r\n"),
    "SMTP greeting": (400, b"EHLO localhost\r\n"),
    "PROXY protocol 1": (400, b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + get()),
    "PROXY protocol 2": (400, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12) + get()),
    "FastCGI record": (400, b"\x01\x01\0\x01\0\x08\0\0\0\x01\0\0\0\0\0\0"),
    "Redis command": (400, b"*1\r\n$4\r\nPING\r\n"),
    "9113-3.4 HTTP/2 preface in HTTP/1.1": (
        400, b"PRI * HTTP/1.1\r\nHost: localhost\r\n\r\nSM\r\n\r\n"),
    "7826-20 RTSP DESCRIBE": (
        400, b"DESCRIBE rtsp://localhost/x RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
    "3261-7 SIP": (400, b"INVITE sip:a@localhost SIP/2.0\r\nHost: localhost\r\n\r\n"),
    "ICE source": (400, b"SOURCE /upstream/a/page ICE/1.0\r\nHost: localhost\r\n\r\n"),
    "Gnutella": (400, b"GNUTELLA CONNECT/0.6\r\n\r\n"),
    "IMAP login": (400, b"a1 LOGIN a b\r\n"),
    "memcached stats": (400, b"stats\r\n"),
    "SOCKS 5": (400, b"\x05\x01\x00"),
    "MQTT": (400, b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"),
    "PostgreSQL asks for TLS": (400, b"\0\0\0\x08\x04\xd2\x16\x2f"),
    "JSON on a line": (400, b'{"model":"a"}\r\n'),
    "3629-6 a byte-order mark before": (400, b"\xef\xbb\xbf" + get()),
}

# Field lines, RFC 9112 §5.
FIELDS = {
    "9112-5.1 space before the colon": (400, get(b"X : y\r\n")),
    "9112-5.1 tab before the colon": (400, get(b"X\t: y\r\n")),
    "9112-5.1 space before the colon of TE (CVE-2019-16869 netty)": (
        400, te(b"chunked", BODY, WITH_CL, b"Transfer-Encoding ")),
    "9112-5.1 tab before the colon of TE": (
        400, te(b"chunked", BODY, WITH_CL, b"Transfer-Encoding\t")),
    "9112-5.1 space before the colon of CL (CVE-2019-16276 Go)": (
        400, post(b"Content-Length : " + N + CRLF)),
    "9112-5.1 space before the colon of Host": (400, get(host=b"Host : localhost\r\n")),
    "9112-5 space in a name": (400, get(b"X y: z\r\n")),
    "9112-5 no colon": (400, get(b"NoColon\r\n")),
    "9112-5 only spaces": (400, get(b"   \r\n")),
    "9112-5 a request line as a field": (400, get(b"GET /upstream/a/x HTTP/1.1\r\n")),
    "9112-5 no name": (400, get(b": z\r\n")),
    "9112-5.2 folded with a space": (400, get(b"X: y\r\n z\r\n")),
    "9112-5.2 folded with a tab": (400, get(b"X: y\r\n\tz\r\n")),
    "9112-5.2 folded into nothing": (400, get(b"X: y\r\n \r\n")),
    "9112-5.2 folded TE": (400, post(b"Transfer-Encoding:\r\n chunked\r\n" + WITH_CL)),
    "9112-5.2 folded CL": (400, post(b"Content-Length:\r\n " + N + CRLF)),
    "9112-5.2 folded Host": (400, get(host=b"Host:\r\n localhost\r\n")),
    "9112-5.2 hidden TE in a fold (TE.TE)": (
        400, post(b"X: y\r\n Transfer-Encoding: chunked\r\n" + WITH_CL)),
    "9112-2.2 bare CR hides TE (CVE-2020-8287 node)": (
        400, post(b"X: y\rTransfer-Encoding: chunked\r\n" + WITH_CL)),
    "9112-2.2 bare LF hides TE (CVE-2023-30589 node)": (
        400, post(b"X: y\nTransfer-Encoding: chunked\r\n" + WITH_CL)),
    "9112-2.2 LF CR": (400, get(b"X: y\n\rZ: a\r\n")),
    "9112-2.2 CR CR LF (CVE-2023-30589 class)": (400, get(b"X: y\r\r\nZ: a\r\n")),
    "9112-2.2 CR at the start of a line": (400, get(b"\rX: y\r\n")),
    "9112-2.2 bare CR behind the colon": (400, get(b"X:\ry\r\n")),
    "9110-5.5 NUL in a value": (400, get(b"X: a\0b\r\n")),
    "9110-5.5 NUL at the end of a value": (400, get(b"X: a\0\r\n")),
    "9110-5.5 vertical tab in a value": (400, get(b"X: a\x0bb\r\n")),
    "9110-5.5 form feed in a value": (400, get(b"X: a\x0cb\r\n")),
    "9110-5.5 backspace in a value": (400, get(b"X: a\x08b\r\n")),
    "9110-5.5 escape in a value": (400, get(b"X: \x1b[2J\r\n")),
    "9110-5.5 DEL in a value": (400, get(b"X: a\x7f\r\n")),
    "9110-5.1 NUL in the name TE": (400, te(b"chunked", BODY, WITH_CL, b"Transfer-\0Encoding")),
    "9110-5.1 parenthesis in a name": (400, get(b"X(y): z\r\n")),
    "9110-5.1 slash in a name": (400, get(b"X/y: z\r\n")),
    "9110-5.1 quotes around a name": (400, get(b'"X": z\r\n')),
    "9110-5.1 non-ASCII in a name": (400, get(b"X\xc3\xa9: z\r\n")),
    "9110-5.1 soft hyphen in the name TE": (
        400, te(b"chunked", BODY, WITH_CL, b"Transfer\xad-Encoding")),
    "9110-5.1 look-alike with underscore (TE.TE)": (
        400, te(b"chunked", BODY, WITH_CL, b"Transfer_Encoding")),
    "9110-5.1 look-alike CL with underscore (CVE-2015-3183 class)": (
        400, post(b"Content_Length: 4\r\n" + WITH_CL)),
    "9110-5.1 look-alike without hyphen": (400, post(b"ContentLength: 4\r\n" + WITH_CL)),
    "9110-5.1 look-alike with a dot": (400, te(b"chunked", BODY, WITH_CL, b"Transfer.Encoding")),
    "9110-5.1 look-alike of Host": (400, get(b"Host_: evil\r\n")),
    "9110-5.3 two Content-Types": (400, post(WITH_CL + b"Content-Type: text/plain\r\n")),
}

# Host, RFC 9112 §3.2: its form. Whose names are allowed is another matter (421).
HOSTS = {
    "missing": (400, get(host=b"")),
    "twice": (400, get(b"Host: other\r\n")),
    "twice the same": (400, get(HOST)),
    "twice in HTTP/1.0": (400, get(b"host: other\r\n", version=b"HTTP/1.0")),
    **{what: (400, get(host=b"Host:" + value + CRLF)) for what, value in {
        "empty": b"", "only spaces": b"  \t ", "a list": b" localhost, other",
        "a space": b" local host", "a tab": b" local\thost", "a path": b" localhost/x",
        "a query": b" localhost?x", "a fragment": b" localhost#x", "user info": b" me@localhost",
        "a scheme": b" http://localhost", "a backslash": b" localhost\\x",
        "a port of letters": b" localhost:http", "a port too large": b" localhost:65536",
        "a port of six digits": b" localhost:000080", "a negative port": b" localhost:-80",
        "a port with a plus": b" localhost:+80", "two ports": b" localhost:80:80",
        "only a port": b" :80", "bare IPv6": b" ::1", "an open bracket": b" [::1",
        "text behind the bracket": b" [::1]x", "a zone": b" [fe80::1%25eth0]",
        "no IPv6": b" [::g]", "IPvFuture": b" [v1.x]", "percent-encoding": b" local%68ost",
        "NUL": b" localhost\0", "non-ASCII": b" localhost\xc3\xa9", "quotes": b' "localhost"',
        "angle brackets": b" <localhost>", "300 bytes": b" " + b"a" * 300,
        "an empty label": b" local..host", "a leading dot": b" .localhost",
        "two trailing dots": b" localhost..", "only a dot": b" ."}.items()},
}

# How long the body is, RFC 9112 §6 and RFC 9110 §8.6.
BIG = 1 << 64
LENGTHS = {
    "9112-6.3 CL and TE (CL.TE)": (400, te(b"chunked", more=CL + b"4\r\n")),
    "9112-6.3 TE and CL (TE.CL)": (
        400, post(b"Transfer-Encoding: chunked\r\n" + WITH_CL, chunked(BODY))),
    "9112-6.3 CL 0 and TE (cpp-httplib #2516)": (400, te(b"chunked", more=CL + b"0\r\n")),
    "9112-6.3 CL and empty TE (TE.0)": (400, te(b"", BODY, WITH_CL)),
    "9112-6.3 CL and identity (Beast #3098)": (400, te(b"identity", BODY, WITH_CL)),
    "9112-6.3 CL and gzip": (400, te(b"gzip", BODY, WITH_CL)),
    "9112-6.3 CL and xchunked (TE.TE)": (400, te(b"xchunked", BODY, WITH_CL)),
    "9112-6.3 CL and chunked in quotes (TE.TE)": (400, te(b'"chunked"', BODY, WITH_CL)),
    "9112-6.3 CL, chunked behind NBSP (TE.TE)": (400, te(b"\xa0chunked", BODY, WITH_CL)),
    "9112-6.3 CL, chunked behind a vertical tab (CVE-2019-18277 HAProxy)": (
        400, te(b"\x0bchunked", BODY, WITH_CL)),
    "9112-6.1 gzip alone (Beast: body read as a request)": (501, te(b"gzip", b"")),
    "9112-6.1 identity alone": (501, te(b"identity", b"")),
    "9112-6.1 gzip, chunked": (501, te(b"gzip, chunked")),
    "9112-6.1 chunked, gzip (cpp-httplib #2516)": (501, te(b"chunked, gzip")),
    "9112-6.1 chunked, identity (CVE-2022-32214 node)": (501, te(b"chunked, identity")),
    "9112-6.1 chunkedx": (501, te(b"chunkedx")),
    "9112-6.1 chunked in two lines of others": (
        501, te(b"chunked", more=b"Transfer-Encoding: x\r\n")),
    "9112-6.1 chunked twice": (400, te(b"chunked, chunked")),
    "9112-6.1 chunked in two lines": (400, te(b"chunked", more=b"transfer-encoding: chunked\r\n")),
    "9112-6.1 chunked, then empty": (400, te(b"chunked", more=b"Transfer-Encoding:\r\n")),
    "9112-6.1 chunked with a parameter": (400, te(b"chunked;q=1")),
    "9112-6.1 chunked chunked": (400, te(b"chunked chunked")),
    "9112-6.1 comma behind": (400, te(b"chunked,")),
    "9112-6.1 comma before": (400, te(b",chunked")),
    "9112-6.1 empty": (400, te(b"", b"")),
    "9112-6.1 chunked in HTTP/1.0": (
        400, post(b"Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n", chunked(BODY),
                  b"POST /v1/completions HTTP/1.0")),
    "9112-6.1 in a GET (CVE-2022-26377 class)": (
        400, get(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n") + b"0\r\n\r\n"),
    "9110-8.6 two lengths": (400, post(WITH_CL + CL + b"4\r\n")),
    "9110-8.6 the same length twice": (400, post(WITH_CL * 2)),
    "9110-8.6 in two cases of letters": (400, post(WITH_CL + WITH_CL.lower())),
    "9110-8.6 two lengths in a GET": (400, get(CL + b"0\r\n" + CL + b"40\r\n")),
    **{"9110-8.6 " + what: (400, post(CL + value + CRLF)) for what, value in {
        "a list": N + b", 4", "a list of the same": N + b", " + N, "plus": b"+" + N,
        "minus": b"-1", "minus zero": b"-0", "hexadecimal": b"0x" + HEX, "letters": HEX,
        "a space inside": b"1 3", "a tab inside": b"1\t3", "semicolon behind": N + b";",
        "comma behind": N + b",", "comma before": b"," + N, "empty": b"",
        "quotes": b'"' + N + b'"', "a vertical tab": N + b"\x0b", "no-break space": N + b"\xa0",
        "other digits": "１３".encode(), "a point": N + b".0", "an exponent": b"1e1",
        "an underscore": b"1_3", "a NUL": N + b"\0", "30 digits": N.rjust(30, b"0"),
        "2^63": b"%d" % (1 << 63), "2^64 (is 0 in 64 bits)": b"%d" % BIG,
        "2^64 and more (is right in 64 bits)": b"%d" % (BIG + len(BODY)),
        "20 nines": b"9" * 20}.items()},
    "9110-15.5.14 2^63-1": (413, post(CL + b"%d" % ((1 << 63) - 1) + CRLF)),
    "9110-15.5.14 2^53": (413, post(CL + b"%d" % (1 << 53) + CRLF)),
    "9110-15.5.14 2^63-1 in a GET": (413, get(CL + b"%d" % ((1 << 63) - 1) + CRLF)),
    "9110-10.1.1 unknown expectation": (417, with_length(b"Expect: tea\r\n")),
    "9110-10.1.1 100-continue and more": (417, with_length(b"Expect: 100-continue, tea\r\n")),
    "9110-10.1.1 obfuscated (0.CL, 2025)": (417, with_length(b"Expect: y 100-continue\r\n")),
    "9110-7.6.1 Connection is no list of tokens": (400, get(b"Connection: a b\r\n")),
    "9110-7.6.1 Connection in quotes": (400, get(b'Connection: "close"\r\n')),
    "9110-7.8 malformed Upgrade": (400, get(b"Connection: Upgrade\r\nUpgrade: a b\r\n")),
}

H2C = b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\nUpgrade: "
# What would go on with HTTP/2, past every check (h2c smuggling, Bishop Fox 2020).
UPGRADES = {
    "7540-3.2 h2c": (501, get(H2C + b"h2c\r\n")),
    "7540-3.2 h2c in a POST (Java's HttpClient)": (501, with_length(H2C + b"h2c\r\n")),
    "7540-3.2 h2c with chunks": (501, te(b"chunked", more=H2C + b"h2c\r\n")),
    "7540-3.2 h2c behind websocket": (501, get(H2C + b"websocket, h2c\r\n")),
    "7540-3.2 h2c before websocket": (501, get(H2C + b"h2c,websocket\r\n")),
    "7540-3.2 h2c in a second Upgrade": (501, get(H2C + b"websocket\r\nUpgrade: h2c\r\n")),
    "7540-3.2 h2c without its settings": (
        501, get(b"Connection: Upgrade\r\nUpgrade: h2c\r\n")),
    "7540-3.2 H2C in capitals": (501, get(b"connection: UPGRADE\r\nupgrade: H2C\r\n")),
    "7540-3.2.1 settings without an upgrade": (
        501, get(b"Connection: HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n")),
    "7540-3.2 h2c in an OPTIONS *": (501, get(H2C + b"h2c\r\n", b"*", method=b"OPTIONS")),
    "7540-3.2 h2c of a draft": (501, get(H2C + b"h2c-14\r\n")),
    "7540-3.3 h2": (501, get(H2C + b"h2\r\n")),
    "9110-7.8 HTTP/2.0": (501, get(b"Connection: Upgrade\r\nUpgrade: HTTP/2.0\r\n")),
    "9110-7.8 HTTP/1.1": (501, get(b"Connection: Upgrade\r\nUpgrade: HTTP/1.1\r\n")),
    "9113-3.4 the preface behind an h2c": (
        501, get(H2C + b"h2c\r\n") + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
}

# Limits (safety.md §6): 414 for the request line, 431 for the rest.
SIZES = {
    "9112-3 a target of 64 kB": (414, get(target=b"/upstream/a/" + b"x" * 65_536)),
    "9112-3 a target of 17 kB": (414, get(target=b"/upstream/a/" + b"x" * 17_000)),
    "9112-3 a method of 64 kB": (414, get(method=b"G" * 65_536)),
    "6585-5 a field of 64 kB": (431, get(b"X: " + b"y" * 65_536 + CRLF)),
    "6585-5 a field of 17 kB": (431, get(b"X: " + b"y" * 17_000 + CRLF)),
    "6585-5 a name of 64 kB": (431, get(b"x" * 65_536 + b": y\r\n")),
    "6585-5 a head of 40 kB": (431, get((b"X: " + b"y" * 10_000 + CRLF) * 4)),
    "6585-5 10 000 fields": (431, get(b"X: y\r\n" * 10_000)),
    "6585-5 101 fields": (431, get(b"X: y\r\n" * 100)),
}

REFUSED = {f"{group}: {name}": case for group, cases in {
    "line": LINES, "field": FIELDS, "9112-3.2 Host": HOSTS, "length": LENGTHS, "size": SIZES,
    "upgrade": UPGRADES,
}.items() for name, case in cases.items()}


@pytest.fixture(scope="module")
def front(tmp_path_factory):
    made = Front(tmp_path_factory.mktemp("framing"))
    yield made
    made.close()


@pytest.mark.parametrize("status,sent", REFUSED.values(), ids=REFUSED.keys())
def test_unclean_heads_are_refused_and_nothing_reaches_the_model(front, status, sent):
    """Guards: what cannot be understood in one way only is not forwarded in any."""
    assert_refused(front.run(sent), status)


@pytest.mark.parametrize("sent", [
    b"GET /upstream/a/page\r\n", b"hello\r\n", b"\x16", b"GET / HTTP/3.0\r\n",
    b"get / HTTP/1.1\r\n", get()[:-2] + b"\n", get()[:-4] + b"\r\n\t",
], ids=["HTTP/0.9", "hello", "TLS", "HTTP/3", "get", "LF", "fold"])
def test_what_can_never_be_a_request_is_refused_before_its_end(front, sent):
    """Guards: a first line that is not HTTP holds no connection until the head's time is up."""
    with front.corral.connect() as connection:
        connection.send(sent)
        assert connection.read_response().status in (400, 501, 505)  # and not 408


def test_a_refused_head_request_gets_no_body(front):
    """Guards: RFC 9110 §9.3.2, also for an answer to what was no clean request."""
    with front.corral.connect() as connection:
        connection.send(get(method=b"HEAD", host=b""))
        answer = connection.read_response("HEAD")
        assert (answer.status, answer.field("Connection")) == (400, "close")
        assert int(answer.field("Content-Length")) > 0
        assert connection.read_until_closed() == b""


XY = b"X-A: 1\r\nX-B: 2\r\n"
# Odd but legal: (what is sent, what the model sees of it).
CLEAN = {
    "9112-2.2 one empty line before the request line": (CRLF + get(), get_up()),
    "9112-2.3 HTTP/1.2 is served as 1.1": (get(version=b"HTTP/1.2"), get_up()),
    "9112-5 spaces around a value": (get(b"X:  \t a  b \t \r\n"), get_up(b"X: a  b\r\n")),
    "9112-5 no space behind the colon": (get(b"X:a\r\n"), get_up(b"X: a\r\n")),
    "9112-5 Host without space": (get(host=b"Host:localhost\r\n"), get_up()),
    "9112-5 hOST": (get(host=b"hOST: localhost\r\n"), get_up()),
    "9112-5 Host last": (get(host=b"X: a\r\n" + HOST), get_up(b"X: a\r\n")),
    "9110-5.5 empty value": (get(b"X:\r\nY: \r\n"), get_up(b"X: \r\nY: \r\n")),
    "9110-5.5 a tab and UTF-8 inside": (
        get(b"X: a\tb \xc3\xa9\r\n"), get_up(b"X: a\tb \xc3\xa9\r\n")),
    "9110-5.3 fields keep order, case and repetition": (
        get(b"x-b: 1\r\nX-A: 2\r\nX-B: 3\r\n"), get_up(b"x-b: 1\r\nX-A: 2\r\nX-B: 3\r\n")),
    "9110-5.6.2 every token character": (
        get(b"!#$%&'*+-.^_`|~1aZ: x\r\n"), get_up(b"!#$%&'*+-.^_`|~1aZ: x\r\n")),
    "9110-5.1 a name that only begins like Content-Length": (
        get(b"Content-Length-Hint: 5\r\n"), get_up(b"Content-Length-Hint: 5\r\n")),
    "9110-5.3 the same Content-Type twice": (
        with_length(JSON), length_up(fields=JSON)),
    "9110-9.1 a method that nobody knows": (get(method=b"PROPFIND"), get_up(method=b"PROPFIND")),
    "9112-3.2.2 absolute-form": (get(target=b"http://localhost/upstream/a/page?x"),
                                 get_up(target=b"/page?x")),
    "9112-3.2.2 absolute-form in capitals": (
        get(target=b"HTTP://localhost/upstream/a/page"), get_up()),
    "9112-3.2.2 absolute-form wins over Host": (
        get(target=b"http://127.0.0.1:81/upstream/a/page"), get_up(host=b"Host: 127.0.0.1:81\r\n")),
    "9110-7.2 Host with an empty port": (
        get(host=b"Host: localhost:\r\n"), get_up(host=b"Host: localhost:\r\n")),
    "9110-7.2 Host is IPv6": (
        get(host=b"Host: [::1]:81\r\n"), get_up(host=b"Host: [::1]:81\r\n")),
    "9110-8.6 zeros before the length": (post(CL + b"000" + N + CRLF), length_up()),
    "9110-8.6 spaces around the length": (
        post(b"content-length:\t " + N + b" \t\r\n"), length_up()),
    "9110-8.6 length before everything": (
        post(b"", host=CL + N + CRLF + HOST), length_up()),
    "9110-8.6 length 0 in a GET": (get(CL + b"0\r\n"), get_up(CL + b"0\r\n")),
    "9110-9.3.1 GET with a body": (
        get(CL + b"4\r\n") + b"body", get_up(CL + b"4\r\n") + b"body"),
    "9110-9.3.1 GET with a body that is a request (CL.0)": (
        get(CL + b"%d" % len(get()) + CRLF) + get(),
        get_up(CL + b"%d" % len(get()) + CRLF) + get()),
    "9110-9.3.5 DELETE with chunks": (
        get(b"Transfer-Encoding: chunked\r\n", method=b"DELETE") + chunked(b"body"),
        get_up(b"Transfer-Encoding: chunked\r\n", method=b"DELETE") + chunked(b"body")),
    "9110-8.6 a POST without a body says so": (get(method=b"POST"),
                                               get_up(CL + b"0\r\n", method=b"POST")),
    "9112-7 CHUNKED in capitals": (te(b"CHUNKED"), chunked_up(BODY)),
    "9112-7 spaces around chunked": (te(b" \tchunked\t "), chunked_up(BODY)),
    "9110-7.6.1 hop-by-hop fields": (
        get(b"Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: x\r\n"
            b"Trailer: X\r\nTE: gzip\r\nUpgrade: x\r\n" + XY), get_up(XY)),
    "9110-10.1.4 of TE only trailers": (
        get(b"TE: gzip, Trailers\r\n"), get_up(b"TE: trailers\r\n")),
    "9110-7.6.1 what Connection names": (
        get(b"Connection: X-Hop, keep-alive\r\nX-Hop: 1\r\nx-hop: 2\r\nX-Hop-2: 3\r\n"),
        get_up(b"X-Hop-2: 3\r\n")),
    "9110-7.6.1 what a second Connection names": (
        get(b"Connection: keep-alive\r\nX-Hop: 1\r\nconnection: x-hop\r\n"), get_up()),
    "9110-7.6.1 Connection has empty elements": (get(b"Connection: ,,keep-alive,\r\n"), get_up()),
    "9110-7.6.1 Connection names Host": (get(b"Connection: Host\r\n"), get_up()),
    "9110-7.6.1 Connection names Content-Length": (
        with_length(b"Connection: keep-alive, Content-Length\r\n"), length_up()),
    "9110-7.6.1 Connection names Transfer-Encoding": (
        te(b"chunked", more=b"Connection: transfer-encoding\r\n"), chunked_up(BODY)),
    "9110-7.6.1 Connection names Connection": (get(b"Connection: connection\r\n"), get_up()),
    "9110-7.8 h2c without Connection": (get(b"Upgrade: h2c\r\nHTTP2-Settings: AA\r\n"), get_up()),
    "9110-7.8 no upgrade with a body": (
        with_length(b"Connection: Upgrade\r\nUpgrade: websocket\r\n"), length_up()),
    "9110-10.1.1 the body comes with its expectation": (
        with_length(b"Expect: 100-continue\r\n"), length_up()),
    "9110-10.1.1 100-CONTINUE": (with_length(b"Expect: 100-CONTINUE\r\n"), length_up()),
    "9110-10.1.1 an expectation without a body": (get(b"Expect: 100-continue\r\n"), get_up()),
    "3986-2.1 the path keeps its percent-encoding": (
        get(target=b"/upstream/a/%61%2F%0d%0aX:%20y"), get_up(target=b"/%61%2F%0d%0aX:%20y")),
    "3986-2.1 raw UTF-8 is encoded": (
        get(target="/upstream/a/é?ü".encode()), get_up(target=b"/%C3%A9?%C3%BC")),
}


@pytest.mark.parametrize("sent,up", CLEAN.values(), ids=CLEAN.keys())
def test_unusual_but_clean_requests_reach_the_model_once_in_one_form(front, sent, up):
    """Guards: no byte of a head is passed on that Corral has not understood and written itself."""
    outcome = front.run(sent)
    assert outcome.statuses == [200, 200], outcome.answers
    assert [answer.interim for answer in outcome.answers] == [[], []]
    assert without_own_fields(outcome.received) == [up, SMUGGLED_UP]


# What ends the connection without being wrong: (what is sent, what the model sees of it).
LAST = {
    "9112-9.6 close": (get(b"Connection: close\r\n"), get_up()),
    "9112-9.6 CLOSE in a list": (get(b"Connection: keep-alive, x, CLOSE\r\n"), get_up()),
    "9112-9.3 HTTP/1.0": (get(version=b"HTTP/1.0"), get_up()),
    "9112-9.3 HTTP/1.0 without Host": (get(version=b"HTTP/1.0", host=b""), None),
    "9110-10.1.1 HTTP/1.0 knows of no expectation": (
        post(WITH_CL + b"Expect: 100-continue\r\n", line=b"POST /v1/completions HTTP/1.0"),
        length_up()),
    "9110-7.8 HTTP/1.0 knows of no upgrade": (
        get(b"Connection: Upgrade\r\nUpgrade: websocket\r\n", version=b"HTTP/1.0"), get_up()),
}


@pytest.mark.parametrize("sent,up", LAST.values(), ids=LAST.keys())
def test_what_follows_the_last_request_of_a_connection_is_not_read(front, sent, up):
    """Guards: after `close`, and with HTTP/1.0, the bytes behind a request are no request."""
    outcome = front.run(sent)
    assert outcome.statuses == [200] and outcome.closed
    (received,) = without_own_fields(outcome.received)
    assert up is None or received == up
    assert b"\r\nHost: " in received


def test_http_1_0_may_keep_its_connection(front):
    """Guards: RFC 9112 §9.3, keep-alive of HTTP/1.0 is told and kept."""
    outcome = front.run(get(b"Connection: Keep-Alive\r\n", version=b"HTTP/1.0"))
    assert outcome.statuses == [200, 200]
    assert outcome.answers[0].field("Connection") == "keep-alive"
    assert without_own_fields(outcome.received) == [get_up(), SMUGGLED_UP]
