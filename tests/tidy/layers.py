#!/usr/bin/env python3
"""Holds the #include graph against the table of docs/architecture.md: which room may know which.

    layers.py [--self-test]

A file of a room includes its own room, the rooms and the libraries that its row names, and nothing
else: a library that no row knows is a problem, too. Tests may include everything.
"""

import re
import sys

from sources import ROOT, cpp_files, line_of, report, self_test

# The longest prefix decides, so that "supervisor/logic" is a room and "supervisor" is none.
BASIC = {"std", "boost/system"}
ROOMS = {
    "core": (set(), BASIC | {"posix", "fmt", "spdlog", "yaml-cpp", "nlohmann", "re2", "valijson"}),
    "supervisor/logic": ({"core"}, BASIC),
    "supervisor/launch": ({"core", "supervisor/logic"},
                          BASIC | {"posix", "fmt", "boost/asio", "boost/process", "systemd"}),
    "supervisor/fleet": ({"core", "supervisor/logic", "supervisor/launch"},
                         BASIC | {"posix", "fmt", "boost/asio", "systemd"}),
    "discovery": ({"core"},
                  BASIC | {"posix", "fmt", "yaml-cpp", "nlohmann", "curl", "openssl"}),
    "proxy": ({"core", "supervisor/fleet"},
              BASIC | {"posix", "fmt", "nlohmann", "openssl", "prometheus", "SQLiteCpp",
                       "boost/asio", "boost/beast", "boost/json", "boost/url"}),
    "app": ({"core", "supervisor/logic", "supervisor/launch", "supervisor/fleet", "discovery",
             "proxy"},
            BASIC | {"posix", "fmt", "nlohmann", "systemd", "CLI", "boost/asio"}),
}
OUTSIDE = ("tests/", "cmake/")  # no room: may include everything
ONE_FILE_ONLY = "boost/process"  # everyone else starts processes through that file

BOOST_BASICS = {"system", "assert", "config", "throw_exception", "version", "core"}
POSIX_FOLDERS = {"sys", "linux", "netinet", "arpa", "net", "asm"}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"]+)"|<([^>]+)>)', re.M)
CLOCK = re.compile(r"\b\w*[Cc]lock\s*::\s*now\b|\b(?:time|clock_gettime|gettimeofday)\s*\(")


def room_of(name):
    return next((room for room in ROOMS if name.startswith(room + "/")), None)


def library_of(header):
    """The library that <header> belongs to, in the words of the table."""
    folder, _, rest = header.partition("/")
    if not rest:
        return "posix" if header.endswith(".h") else "std"
    if folder in POSIX_FOLDERS:
        return "posix"
    if folder == "boost":
        part = re.split(r"[/.]", rest)[0]
        return "boost/system" if part in BOOST_BASICS else f"boost/{part}"
    return folder


def check(name, text):
    """What is wrong with the includes of one file."""
    room, problems = room_of(name), []
    if room is None:
        if name.startswith(OUTSIDE):
            return []
        return [f"{name}: in no room that the table knows"]
    rooms, libraries = ROOMS[room]
    for match in INCLUDE.finditer(text):
        own, library = match.groups()
        where = f"{name}:{line_of(text, match.start())}"
        if own is not None:
            other = room_of(own)
            if other is None:
                problems.append(f'{where}: "{own}" is not a path from the top of the repository')
            elif room == "supervisor/logic" and own == "core/log.hpp":
                problems.append(f"{where}: a decision does not log")
            elif other != room and other not in rooms:
                problems.append(f"{where}: {room} must not know {other} ({own})")
        elif library_of(library) not in libraries:
            problems.append(f"{where}: {room} must not use {library_of(library)} (<{library}>)")
    if room == "supervisor/logic":
        problems += [f"{name}:{line_of(text, m.start())}: a decision takes `now` as a value"
                     for m in CLOCK.finditer(text)]
    return problems


def cycles(texts):
    """Headers that include each other, each ring once."""
    graph = {name: [own for own, _ in INCLUDE.findall(text) if own in texts]
             for name, text in texts.items()}
    done, problems = set(), []

    def visit(name, path):
        if name in path:
            problems.append("headers in a ring: " + " -> ".join(path[path.index(name):] + [name]))
            return
        if name not in done:
            for other in graph[name]:
                visit(other, path + [name])
            done.add(name)

    for name in graph:
        visit(name, [])
    return problems


CASES = [
    ("core/a.cpp", '#include "core/b.hpp"\n#include <fmt/core.h>\n#include <vector>\n', None),
    ("core/a.cpp", "#include <boost/system/result.hpp>\n", None),
    ("core/a.cpp", "#include <boost/asio/buffer.hpp>\n", "core must not use boost/asio"),
    ("core/a.cpp", "#include <boost/beast.hpp>\n", "core must not use boost/beast"),
    ("core/a.cpp", "  # include <boost/process/v2/process.hpp>\n", "boost/process"),
    ("core/a.cpp", '#include "supervisor/fleet/fleet.hpp"\n', "must not know supervisor/fleet"),
    ("core/a.cpp", '#include "b.hpp"\n', "not a path from the top"),
    ("supervisor/logic/a.hpp", '#include "core/time.hpp"\n#include <chrono>\n', None),
    ("supervisor/logic/a.cpp", "auto t = std::chrono::steady_clock::now();\n", "`now` as a value"),
    ("supervisor/logic/a.cpp", "auto t = Clock::now();\n", "`now` as a value"),
    ("supervisor/logic/a.cpp", "#include <spdlog/spdlog.h>\n", "must not use spdlog"),
    ("supervisor/logic/a.cpp", '#include "core/log.hpp"\n', "does not log"),
    ("supervisor/logic/a.cpp", "#include <unistd.h>\n", "must not use posix"),
    ("supervisor/launch/a.cpp", '#include "supervisor/fleet/fleet.hpp"\n', "must not know"),
    ("supervisor/fleet/a.cpp", "#include <boost/beast/http.hpp>\n", "must not use boost/beast"),
    ("discovery/a.cpp", '#include "supervisor/logic/x.hpp"\n', "must not know supervisor/logic"),
    ("discovery/a.cpp", "#include <boost/asio.hpp>\n", "must not use boost/asio"),
    ("proxy/a.cpp", '#include "supervisor/launch/launcher.hpp"\n', "must not know"),
    ("proxy/a.cpp", '#include "discovery/gguf.hpp"\n', "must not know discovery"),
    ("proxy/a.cpp", '#include "supervisor/fleet/fleet.hpp"\n#include <boost/beast.hpp>\n', None),
    ("proxy/a.cpp", '#include "app/serve.hpp"\n', "must not know app"),
    ("app/a.cpp", '#include "discovery/scan.hpp"\n#include <CLI/CLI.hpp>\n', None),
    ("app/a.cpp", "#include <unknownlib/x.hpp>\n", "must not use unknownlib"),
    ("stable/a.cpp", "\n", "in no room"),
    ("tests/unit/a.cpp", "#include <boost/beast.hpp>\n", None),
]


def main():
    if "--self-test" in sys.argv[1:]:
        ring = {"core/a.hpp": '#include "core/b.hpp"\n', "core/b.hpp": '#include "core/a.hpp"\n'}
        assert cycles(ring) and not cycles({"core/a.hpp": ""})
        self_test(CASES, check)
    texts = dict(cpp_files())
    assert len(texts) > 20, f"found no sources in {ROOT}"
    problems = [problem for name, text in texts.items() for problem in check(name, text)]
    starters = [name for name, text in texts.items() if room_of(name) and
                any(library_of(library) == ONE_FILE_ONLY
                    for _, library in INCLUDE.findall(text) if library)]
    if len(starters) > 1:
        problems.append(f"more than one file includes {ONE_FILE_ONLY}: {', '.join(starters)}")
    sys.exit(report(problems + cycles(texts)))


main()
