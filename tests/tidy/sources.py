"""What the tidy tests share: the repository's files, and C++ text without comments and strings.

Only Python's standard library is used here, so that the tests run wherever Corral is built.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SKIPPED_FOLDERS = {"node_modules", "__pycache__", "corpus"}
CPP = {".cpp", ".hpp", ".h"}


def files(root=ROOT):
    """Every file of the source tree as (path relative to `root` with slashes, full path)."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            name for name in folders
            if name not in SKIPPED_FOLDERS and not name.startswith(("build", "."))
            or name == ".ci")
        for name in sorted(names):
            path = Path(folder) / name
            yield path.relative_to(root).as_posix(), path


def cpp_files(root=ROOT):
    """(relative path, text) of each C++ file."""
    for name, path in files(root):
        if path.suffix in CPP:
            yield name, path.read_text(encoding="utf-8")


def blank(text):
    """`text` with spaces for newline-free filler: same length, same lines."""
    return "".join(c if c == "\n" else " " for c in text)


def code_only(text):
    """C++ text with comments and the insides of literals blanked; positions and lines stay."""
    out, i, size = [], 0, len(text)
    while i < size:
        two = text[i:i + 2]
        if two == "//":
            end = text.find("\n", i)
            end = size if end < 0 else end
            out.append(blank(text[i:end]))
        elif two == "/*":
            end = text.find("*/", i + 2)
            end = size if end < 0 else end + 2
            out.append(blank(text[i:end]))
        elif text[i] == '"' and i > 0 and text[i - 1] == "R":
            mark = text[i + 1:text.find("(", i)]
            end = text.find(")" + mark + '"', i)
            end = size if end < 0 else end + len(mark) + 2
            out.append('"' + blank(text[i + 1:end - 1]) + '"')
        elif text[i] == '"' or (text[i] == "'" and not (i and text[i - 1].isalnum())):
            end = i + 1
            while end < size and text[end] not in (text[i], "\n"):
                end += 2 if text[end] == "\\" else 1
            end = min(end + 1, size)
            out.append(text[i] + blank(text[i + 1:end - 1]) + text[end - 1:end])
        else:
            end = i + 1
            out.append(text[i])
        i = end
    return "".join(out)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def report(problems):
    """Prints the problems, one a line, and gives the exit status."""
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problem{'' if len(problems) == 1 else 's'}")
    return 1 if problems else 0


def self_test(cases, check):
    """Runs `check(name, text)` on each case (name, text, part of the message expected, or None for
    silence): proof that every rule can fail, and that its good neighbour does not."""
    wrong = []
    for name, text, expected in cases:
        found = check(name, text)
        as_wanted = any(expected in problem for problem in found) if expected else not found
        if not as_wanted:
            wrong.append(f"{name}: {text!r}\n  expected {expected!r}, found {found}")
    print(f"{len(cases) - len(wrong)} of {len(cases)} self-test cases as expected")
    for problem in wrong:
        print(problem)
    sys.exit(1 if wrong else 0)
