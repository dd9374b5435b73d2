#!/usr/bin/env python3
"""Holds the sources to the rules of the house that a machine can see.

    style.py [--self-test]

Lengths of lines, functions and files; words that are banned, with the reason; expressions around
co_await that g++ 12 miscompiles into a double free. A rule that is wrong for one place is made
narrower here, with a case for it; there is no comment that switches a rule off.
"""

import re
import sys
from collections import namedtuple

from sources import CPP, code_only, files, line_of, report, self_test

COLUMNS_MAX = 100
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 500
TEST_FILE_LINES_MAX = 800
HEADER_LINES_MAX = 160

TEXT = CPP | {".py", ".sh", ".cmake", ".md", ".yaml", ".yml", ".json", ".mjs", ".js", ".ts",
              ".txt", ".in", ".service", ".conf", ""}
WITH_COLUMNS = CPP | {".py", ".sh", ".cmake", ".mjs", ".js", ".ts", ""}

Ban = namedtuple("Ban", "pattern applies why")


def in_rooms(name):
    return not name.startswith("tests/")


def outside_app(name):
    return in_rooms(name) and not name.startswith("app/")


def reads_environment(name):
    # The guard hands on what systemd put into the environment, before there is anything of app/.
    return outside_app(name) and name != "supervisor/launch/guard.cpp"


def anywhere(_):
    return True


# Looked for in C++ without its comments and strings.
BANS = [
    Ban(re.compile(r"\bdetached\b"), anywhere, "spawn into a TaskGroup, which shutdown joins"),
    Ban(re.compile(r"\bstd::(?:cout|cerr|clog)\b"), outside_app, "only app/ prints; others log"),
    Ban(re.compile(r"\b(?:sleep_for|sleep_until|usleep|nanosleep)\b"),
        lambda name: not name.startswith("tests/fake_engine/"),  # it is slow when told to
        "wait for what you wait for"),
    Ban(re.compile(r"\bgetenv\b"), reads_environment,
        "only app/ reads the environment; pass the value"),
    Ban(re.compile(r"\busing\s+namespace\b(?!\s+std::\w*literals)"),
        lambda name: name.endswith((".hpp", ".h")), "a header names what it uses"),
    Ban(re.compile(r"\bnew\s+[A-Za-z_:]|\bdelete\b(?!\s*[;,)])"), in_rooms,
        "own by value or unique_ptr"),
    Ban(re.compile(r"\b(?:system|popen)\s*\("), lambda name: in_rooms(name), "no shell is started"),
    Ban(re.compile(r"\bcatch\s*\(\s*\.\.\.\s*\)\s*\{\s*\}"), anywhere, "nothing is swallowed"),
]
# Looked for in everything that is text, comments too. Spelled so that this file does not match.
OPEN_ENDS = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b")
THIS_MACHINE = re.compile(r"(?<![\w.$}])/wor" r"k/(?:main|shared|brief|build)")
REGISTRY = re.compile(r'"resolved"\s*:\s*"https?:')
PYTHON_SLEEP = re.compile(r"\btime\.sleep\(")

CONDITION = re.compile(r"\b(?:if|while|for|switch)(?:\s+constexpr)?\s*$")
# What a `{` follows: an initializer comes after a type's name, `=`, `(`, `,` or `return`; a block
# after a `)`, a keyword, or the return type of a lambda.
NOT_A_BLOCK = re.compile(r"[\w>\]=,(]$")
BLOCK = re.compile(r"\b(?:else|do|try|const|noexcept|override|mutable)$|->\s*[\w:<>,\s&*]+$|"
                   r"\b(?:struct|class|union|enum|namespace)\b[^;{}()]*$")


def test_file(name):
    return name.startswith("tests/")


def lengths(name, text):
    lines = text.split("\n")
    suffix = "." + name.rsplit(".", 1)[1] if "." in name.rsplit("/", 1)[-1] else ""
    if suffix in WITH_COLUMNS and not name.endswith(("package-lock.json", "LICENSE")):
        for number, line in enumerate(lines, 1):
            if len(line) > COLUMNS_MAX:
                yield f"{name}:{number}: {len(line)} columns, of {COLUMNS_MAX}"
    if suffix in CPP or suffix == ".py":
        most = TEST_FILE_LINES_MAX if test_file(name) else FILE_LINES_MAX
        if suffix in (".hpp", ".h") and not test_file(name):
            most = HEADER_LINES_MAX
        if len(lines) - 1 > most:
            yield f"{name}: {len(lines) - 1} lines, of {most}"


def openings(name, text):
    """A file says first what it is for; a .cpp whose header says it need not say it twice."""
    lines = [line for line in text.split("\n") if line.strip()]
    if name.endswith(".hpp"):
        if lines[:1] != ["#pragma once"] or not lines[1:2] or not lines[1].startswith("//"):
            yield f"{name}:1: a header starts with #pragma once and what it is for"
    elif name.endswith(".cpp") and lines and not lines[0].startswith("//"):
        own = name[:-len(".cpp")] + '.hpp"'
        if not (lines[0].startswith('#include "') and lines[0].endswith(own)):
            yield f"{name}:1: says what it is for, or includes its own header first"


def is_function(head):
    """Whether the text before a `{` at namespace or class level opens a function's body."""
    head = re.sub(r"\[\[.*?\]\]", "", head, flags=re.S).strip()
    if re.search(r"\b(?:namespace|class|struct|union|enum|extern)\b[^()]*$", head):
        return False
    return ")" in head and not re.search(r"=\s*$", head)


def functions(name, code):
    """Functions that are too long: counted from the line of the signature to the closing brace."""
    stack, head = [], 0
    for match in re.finditer(r"[{};]", code):
        position, sign = match.start(), match.group()
        if sign == "{":
            inside = any(kind for kind, _ in stack)
            before = code[head:position]
            before = re.sub(r"^[ \t]*#.*$", lambda m: " " * len(m.group()), before, flags=re.M)
            start = head + len(before) - len(before.lstrip())
            stack.append((not inside and is_function(before), start))
        elif sign == "}" and stack:
            function, start = stack.pop()
            size = line_of(code, position) - line_of(code, start) + 1
            if function and size > FUNCTION_LINES_MAX:
                title = " ".join(code[start:position].split("{")[0].split())[:60]
                yield (f"{name}:{line_of(code, start)}: a function of {size} lines, "
                       f"of {FUNCTION_LINES_MAX}: {title}")
        head = position + 1


def braces_and_parens(code):
    """(partner of each bracket, the `{` that start an initializer and not a block)."""
    partner, initializers, stack = {}, set(), []
    for match in re.finditer(r"[(){}]", code):
        position, sign = match.start(), match.group()
        if sign in "({":
            stack.append(position)
            before = code[max(0, position - 200):position].rstrip()
            if sign == "{" and NOT_A_BLOCK.search(before) and not BLOCK.search(before):
                initializers.add(position)
        elif stack:
            partner[position] = stack.pop()
            partner[partner[position]] = position
    return partner, initializers


def full_expression(code, position, partner, initializers):
    """The statement, or the condition in parentheses, that the text at `position` is part of."""
    start = position
    while start > 0:
        i = start - 1
        if code[i] == ";":
            break
        if code[i] in "{}":
            opening = i if code[i] == "{" else partner.get(i)
            if opening not in initializers:
                break
        if code[i] == "(" and partner.get(i, position) >= position \
                and CONDITION.search(code[max(0, i - 40):i]):
            return start, partner.get(i, len(code))
        start = i
    end = code.find(";", position)
    return start, len(code) if end < 0 else end


def coroutines(name, code):
    """On g++ 12, an aggregate, a `?:` or a lambda beside co_await is destroyed twice. Only names,
    scalars and objects made by a constructor call are safe there."""
    partner, initializers = braces_and_parens(code)
    for match in re.finditer(r"\bco_await\b", code):
        start, end = full_expression(code, match.start(), partner, initializers)
        before, after = code[start:match.start()], code[match.start():end]
        if re.search(r"[?\[{]", after) or re.search(r"[?{]", before):
            yield (f"{name}:{line_of(code, match.start())}: `?`, `[` or `{{` in an expression with "
                   "co_await; name the value first")
    for match in re.finditer(r"\buse_awaitable\b", code):
        before = code[:match.start()]
        statement = before[before.rfind(";") + 1:]
        if in_rooms(name) and not re.search(
                r"\b(?:as_tuple|redirect_error|co_spawn)\s*\(|#include[^\n]*$", statement):
            yield (f"{name}:{line_of(code, match.start())}: bare use_awaitable throws; "
                   "as_tuple(use_awaitable) gives the error as a value")


def check(name, text):
    """What is wrong with one file."""
    problems = list(lengths(name, text))
    for pattern, why in ((OPEN_ENDS, "finish it, or file an issue"),
                         (THIS_MACHINE, "a path of one machine"),
                         (REGISTRY, "a registry's address; npm's omit-lockfile-registry-resolved")):
        problems += [f"{name}:{line_of(text, m.start())}: {m.group()}: {why}"
                     for m in pattern.finditer(text)]
    if name.endswith(".py") and not name.startswith(("tests/support/", "tests/tidy/")):
        problems += [f"{name}:{line_of(text, m.start())}: poll until it is so, by tests/support"
                     for m in PYTHON_SLEEP.finditer(text)]
    if name.endswith(tuple(CPP)):
        code = code_only(text)
        problems += openings(name, text)
        problems += functions(name, code)
        problems += coroutines(name, code)
        problems += [f"{name}:{line_of(code, m.start())}: {m.group()}: {ban.why}"
                     for ban in BANS if ban.applies(name) for m in ban.pattern.finditer(code)]
    return problems


def body(lines):
    return "// A file.\nint f() {\n" + "    g();\n" * lines + "}\n"


def coroutine(statement):
    return "// A file.\nvoid f() {\n    " + statement + "\n}\n"


AWAIT = "in an expression with co_await"
CASES = [
    ("core/a.cpp", "// A file.\n", None),
    ("core/a.cpp", "int x;\n", "says what it is for"),
    ("core/a.cpp", '#include "core/a.hpp"\nint x;\n', None),
    ("core/a.hpp", "#pragma once\n// A file.\n", None),
    ("core/a.hpp", "// A file.\n#pragma once\n", "starts with #pragma once"),
    ("core/a.cpp", "// " + "x" * 98 + "\n", "101 columns"),
    ("tests/a.py", "# " + "x" * 99 + "\n", "101 columns"),
    ("run", "# " + "x" * 99 + "\n", "101 columns"),
    ("README.md", "x" * 300 + "\n", None),
    ("core/a.cpp", body(68), None),
    ("core/a.cpp", body(69), "a function of 71 lines"),
    ("core/a.cpp", "// A file.\nnamespace x {\n" + "int f();\n" * 99 + "}\n", None),
    ("core/a.cpp", "// A file.\nstruct X {\n    int f() const {\n" + "g();\n" * 69 + "}\n};\n",
     "a function of 71 lines"),
    ("core/a.cpp", "// A file.\nconst int table[] = {\n" + "    1,\n" * 99 + "};\n", None),
    ("core/a.cpp", "// A file.\n" * 501, "501 lines, of 500"),
    ("tests/a.cpp", "// A file.\n" * 501, None),
    ("core/a.hpp", "#pragma once\n// A file.\n" + "\n" * 160, "of 160"),
    ("core/a.cpp", "// A file.\nauto x = asio::detached;\n", "TaskGroup"),
    ("core/a.cpp", "// A file; not detached.\nauto x = \"detached\";\n", None),
    ("core/a.cpp", "// A file.\nauto x = R\"(detached)\";\n", None),
    ("core/a.cpp", "// A file.\nvoid f() { std::cout << 1; }\n", "only app/ prints"),
    ("app/a.cpp", "// A file.\nvoid f() { std::cout << 1; }\n", None),
    ("tests/a.cpp", "// A file.\nvoid f() { std::this_thread::sleep_for(x); }\n", "wait for"),
    ("proxy/a.cpp", "// A file.\nauto x = std::getenv(\"HOME\");\n", "environment"),
    ("app/a.cpp", "// A file.\nauto x = std::getenv(\"HOME\");\n", None),
    ("core/a.hpp", "#pragma once\n// A file.\nusing namespace std;\n", "names what it uses"),
    ("core/a.cpp", "// A file.\nusing namespace std;\n", None),
    ("core/a.cpp", "// A file.\nauto* x = new int(1);\n", "unique_ptr"),
    ("core/a.cpp", "// A file.\nstruct X { X(const X&) = delete; };\n", None),
    ("core/a.cpp", "// A file.\nauto x = system(command);\n", "no shell"),
    ("core/a.cpp", "// A file.\nvoid f() { try { g(); } catch (...) {} }\n", "swallowed"),
    ("core/a.cpp", "// A file. TO" "DO: more\n", "finish it"),
    ("docs/a.md", "see /wor" "k/main/x\n", "one machine"),
    ("tests/e2e/package-lock.json", '"resolved":' ' "https://host/x"\n', "registry"),
    ("tests/integration/a.py", "import time\ntime.sleep(1)\n", "poll until"),
    ("core/a.cpp", coroutine("co_await f(Agg{1});"), AWAIT),
    ("core/a.cpp", coroutine("Agg x{co_await g(), 1};"), AWAIT),
    ("core/a.cpp", coroutine("x = Agg{1, co_await g()};"), AWAIT),
    ("core/a.cpp", coroutine("co_return Agg{co_await g()};"), AWAIT),
    ("core/a.cpp", coroutine("auto x = b ? co_await f(named) : other;"), AWAIT),
    ("core/a.cpp", coroutine("co_await f(b ? x : y);"), AWAIT),
    ("core/a.cpp", coroutine("co_await [v]() -> awaitable<T> { co_return v; }();"), AWAIT),
    ("core/a.cpp", coroutine("f(co_await g(), Agg{1});"), AWAIT),
    ("core/a.cpp", coroutine("f(Agg{1}, co_await g());"), AWAIT),
    ("core/a.cpp", coroutine("if (co_await f(Agg{1})) {\n    g();\n}"), AWAIT),
    ("core/a.cpp", coroutine("if (co_await f(named)) {\n    g(Agg{1});\n}"), None),
    ("core/a.cpp", coroutine("while (!co_await f(named)) {\n    g();\n}"), None),
    ("core/a.cpp", coroutine("if (auto x = co_await f(std::move(y)); x) {\n    g();\n}"), None),
    ("core/a.cpp", coroutine("for (;;) {\n    co_await f(named);\n}"), None),
    ("core/a.cpp", coroutine("if (x) {\n    y = Agg{1};\n    co_await f(y);\n}"), None),
    ("core/a.cpp", coroutine("if (x) {\n    g();\n} else {\n    co_await f(y);\n}"), None),
    ("core/a.cpp", coroutine("auto [ec, n] = co_await f(as_tuple(use_awaitable));"), None),
    ("core/a.cpp", coroutine("co_await f(std::string(x), std::optional<int>(1));"), None),
    ("core/a.cpp", coroutine("auto g = [&]() -> awaitable<void> { co_await f(x); };"), None),
    ("core/a.cpp", coroutine("co_await s.async_wait(x, use_awaitable);"), "bare use_awaitable"),
    ("core/a.cpp", coroutine("co_await s.wait(x, as_tuple(asio::use_awaitable));"), None),
]


def main():
    if "--self-test" in sys.argv[1:]:
        self_test(CASES, check)
    problems = []
    for name, path in files():
        if path.suffix in TEXT and path.is_file():
            problems += check(name, path.read_text(encoding="utf-8"))
    sys.exit(report(problems))


main()
