"""A config that means harm is refused with a sentence: `corral check` neither crashes nor hangs,
and never takes more than 256 MiB (safety.md, "Config faults")."""

import os

import pytest
from corral_measure import measure_corral

MIB = 1 << 20
FILE_MAX = 16 * MIB
MEMORY_MAX = 256


def check(yard, text, **more):
    """Checks a text of at most 16 MiB as a file."""
    (yard.folder / "c.yaml").write_bytes(text[:FILE_MAX])
    return measure_corral(yard.folder, "check", "c.yaml", **more)


def laughs(levels):
    """A billion laughs: each list holds the one before it nine times."""
    lines = [b"a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for level in range(1, levels):
        last = b"*a%d" % (level - 1)
        lines.append(b"a%d: &a%d [%s]" % (level, level, b", ".join([last] * 9)))
    return b"\n".join(lines) + b"\n"


def merges(levels):
    """The same with merge keys: each mapping takes in nine copies of the one before it."""
    lines = [b"a0: &a0 {k: [1, 2, 3, 4, 5, 6, 7, 8, 9]}"]
    for level in range(1, levels):
        copies = b", ".join(b"k%d: {<<: *a%d}" % (i, level - 1) for i in range(9))
        lines.append(b"a%d: &a%d {%s}" % (level, level, copies))
    return b"\n".join(lines) + b"\n"


def stairs(depth):
    """Block style: every line one level deeper."""
    return b"".join(b" " * level + b"a:\n" for level in range(depth))


NESTS = {
    "flow lists": b"[",
    "flow mappings": b"{a: ",
    "flow, mixed": b"[{a: ",
    "block lists": b"- ",
    "block keys": b"? ",
    "block, mixed": b"- ? ",
    "block and flow": b"- [",
}


# Which of them is met first depends on how much the parser reads before it hands out anything.
REFUSALS = ("nested too deep", "too many nodes in one", "not YAML")


@pytest.mark.parametrize("depth", [10_000, 100_000])
@pytest.mark.parametrize("piece", NESTS.values(), ids=NESTS.keys())
def test_a_deep_nest_is_refused(yard, piece, depth):
    """Guards: neither yaml-cpp's recursion nor ours overflows the stack, closed or not."""
    closing = {b"[": b"]", b"{": b"}"}
    tail = b"".join(closing.get(bytes([c]), b"") for c in reversed(piece))
    for text in (piece * depth, piece * depth + b"x" + tail * depth, b"a:\n  " + piece * depth):
        done = check(yard, text)
        assert done.returncode == 1, done
        assert any(words in done.output for words in REFUSALS), done
        assert "c.yaml:" in done.output and done.takes_less_than(MEMORY_MAX), done


def test_a_deep_nest_in_lines_is_refused(yard):
    """Guards the depth of block mappings, where a file of 16 MiB has room for 5,000 levels."""
    done = check(yard, stairs(5_000))
    assert done.returncode == 1 and "nested too deep" in done.output, done


@pytest.mark.parametrize("depth", [10_000, 100_000])
def test_a_deep_nest_that_is_only_text_is_no_nest(yard, depth):
    """Guards: brackets inside quotes, a block text, a comment or a later document are no levels."""
    nest = b"[{" * depth
    model = b"models: {m: {cmd: 'x ${PORT}', description: %s}}\n"
    for quoted in (b"'" + nest + b"'", b'"' + nest + b'"'):
        assert check(yard, model % quoted).returncode == 0
    assert check(yard, model % b"x" + b"# " + nest + b"\n").returncode == 0
    block = b"models:\n  m:\n    cmd: x ${PORT}\n    description: |\n      " + nest + b"\n"
    assert check(yard, block).returncode == 0
    second = check(yard, model % b"x" + b"---\n" + nest)
    assert second.returncode == 1 and "only the first document" in second.output, second


BOMBS = {
    "laughs": (laughs(9), "too many nodes: more than 500000"),
    "merged laughs": (merges(9), "too many nodes: more than 500000"),
    "more laughs": (laughs(60), "too many nodes: more than 500000"),
    "itself": (b"a: &a {b: *a}\n", "contains itself"),
    "list items": (b"- a\n" * (FILE_MAX // 4), "too many nodes: more than 500000"),
    "anchors": (
        b"".join(b"- &a%d x\n" % i for i in range(1_000_000)),
        "too many nodes: more than 500000",
    ),
    "one list": (b"x: [[" + b"a," * FILE_MAX, "too many nodes in one"),
    "brackets": (b"[" * FILE_MAX, "too many nodes in one"),
    "pairs": (b"[" + b"{}," * FILE_MAX, "too many nodes in one"),
    "braces": (b"{a: " * FILE_MAX, "too many nodes in one"),
    "anchors in a row": (b"&a " * FILE_MAX, "too many nodes in one"),
    "one quote": (b'a: "' + b"x" * FILE_MAX, "not YAML: illegal EOF in scalar"),
    "long key": (b"k" * (FILE_MAX - 10) + b": 1\n", "not YAML"),
    "same key": (b"k: 1\n" * (FILE_MAX // 5), "too many nodes: more than 500000"),
}


@pytest.mark.parametrize("text,words", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_is_refused_by_what_it_would_hold(yard, text, words):
    """Guards: nodes are counted at each use, and what the parser holds back is bounded, too."""
    done = check(yard, text)
    assert done.returncode == 1 and done.takes_less_than(MEMORY_MAX), done
    assert words in done.output, done


def test_what_one_small_file_makes_of_itself_is_bounded(yard):
    """Guards: macros that double, and commands that many models share, hit a limit by name."""
    double = b"macros:\n  m0: xx\n"
    double += b"".join(b"  m%d: '${m%d}${m%d}'\n" % (i, i - 1, i - 1) for i in range(1, 31))
    done = check(yard, double + b"models: {m: {cmd: '${m30} ${PORT}'}}\n")
    assert done.returncode == 1 and "makes it too large" in done.output, done

    words = b"models:\n  a: &a {cmd: 'p ${PORT} " + b"x " * 200_000 + b"'}\n"
    words += b"".join(b"  b%d: *a\n" % i for i in range(150))
    done = check(yard, words)
    assert done.returncode == 1 and "too many words" in done.output, done
    assert done.takes_less_than(MEMORY_MAX), done


@pytest.mark.parametrize(
    "macros,words",
    [
        ("{a: 'x${a}'}", "macro 'a' contains self-reference"),
        ("{a: '${b}', b: '${a}'}", "unknown macro '${b}' found in m.cmd"),
        ("{a: '${b}', b: '${c}', c: '${a}'}", "unknown macro"),
    ],
)
def test_a_cycle_of_macros_is_an_error(yard, macros, words):
    """Guards: expansion is one pass, so a cycle ends as an unknown macro."""
    text = f"macros: {macros}\nmodels: {{m: {{cmd: 'x ${{a}} ${{PORT}}'}}}}\n"
    done = check(yard, text.encode())
    assert done.returncode == 1 and words in done.output, done


def test_sixty_thousand_of_everything_is_fine(yard):
    """Guards: no limit is met by a large but honest file, and memory stays small."""
    many = range(60_000)
    text = b"macros:\n" + b"".join(b"  m%d: x\n" % i for i in many)
    text += b"models:\n  a:\n    cmd: x ${m59999} ${PORT}\n    metadata:\n"
    text += b"".join(b"      k%d: v\n" % i for i in many)
    done = check(yard, text)
    assert done.returncode == 0 and done.takes_less_than(100), done
    unknown = check(yard, b"".join(b"k%d: v\n" % i for i in many))
    assert unknown.returncode == 1 and "and 59000 more mistakes" in unknown.output, unknown


BYTES = {
    "NUL": (b"\x00\xff", "1:1", "control characters are not allowed"),
    "NUL later": (b"a: 1\nb: \x00\n", "2:4", "control characters are not allowed"),
    "invalid UTF-8": (b"a: \xc3\x28\n", "1:4", "invalid UTF-8"),
    "UTF-16": ("a: 1\n".encode("utf-16"), "1:1", "UTF-16"),
    "tab": (b"models:\n\ta: 1\n", "2:1", "tab in the indentation"),
}


@pytest.mark.parametrize("text,place,words", BYTES.values(), ids=BYTES.keys())
def test_bytes_that_are_no_yaml_are_pointed_at(yard, text, place, words):
    """Guards: the place is told even where the line cannot be shown."""
    done = check(yard, text)
    assert done.returncode == 1, done
    assert f"c.yaml:{place}: error" in done.output and words in done.output, done


def test_a_bom_and_crlf_are_fine(yard):
    """Guards: what editors of another system write."""
    done = check(yard, b"\xef\xbb\xbfmodels:\r\n  m:\r\n    cmd: x ${PORT}\r\n")
    assert done.returncode == 0, done


@pytest.mark.parametrize(
    "value,status,words",
    [
        ("a\"b'c: #d", 0, ""),
        ("back\\slash", 0, ""),
        ("${env.OTHER}", 0, ""),
        ("${bin}", 0, ""),
        ("${nope}", 1, "unknown macro '${nope}'"),
        ("a\nb: c", 1, "contains newlines or null bytes"),
        ("x" * 70_000, 0, ""),
    ],
)
def test_a_value_of_the_environment_is_text(yard, value, status, words):
    """Guards: no value makes structure or is expanded twice; a macro in it is a macro, as with
    llama-swap. The value itself is never shown where it stands."""
    text = b"macros: {bin: srv}\nmodels:\n  m: {cmd: 'x ${PORT}', description: '${env.V}'}\n"
    done = check(yard, text, env={"V": value, "OTHER": "never-read"})
    assert done.returncode == status and words in done.output, done
    assert "never-read" not in done.output


def test_many_uses_of_one_variable_take_linear_time(yard):
    """Guards: a text of a million variables is put together once (it took a minute)."""
    text = b"models: {m: {cmd: 'x ${PORT}', description: '" + b"${env.V} " * 1_000_000 + b"'}}\n"
    done = check(yard, text, env={"V": "word"})
    assert done.returncode == 0 and done.takes_less_than(MEMORY_MAX), done


def make_sparse(file):
    with open(file, "wb") as out:
        out.truncate(100 * MIB)


FILES = {
    "sparse": (make_sparse, "larger than 16777216 bytes"),
    "fifo": (os.mkfifo, "a FIFO"),
    "/dev/zero": (lambda file: file.symlink_to("/dev/zero"), "a device"),
    "dangling": (lambda file: file.symlink_to("nowhere"), "No such file"),
    "loop": (lambda file: file.symlink_to(file), "symbolic links"),
    "directory link": (lambda file: file.symlink_to(file.parent), "a directory"),
}


@pytest.mark.parametrize("make,words", FILES.values(), ids=FILES.keys())
@pytest.mark.parametrize("how", ["file", "directory"])
def test_what_is_no_small_regular_file_is_not_read(yard, how, make, words):
    """Guards: size and kind are looked at before the content, alone and in --config-dir."""
    folder = yard.folder / "conf.d"
    folder.mkdir()
    file = folder / "c.yaml"
    make(file)
    arguments = [file] if how == "file" else ["--config-dir", folder]
    done = measure_corral(yard.folder, "check", *arguments)
    assert done.returncode == 2 and done.takes_less_than(64), done
    assert "c.yaml" in done.output and words in done.output, done


def test_an_endless_standard_input_is_read_to_the_limit(yard):
    """Guards: a pipe has no size to look at."""
    done = measure_corral(yard.folder, "check", "-", stdin="/dev/zero")
    assert done.returncode == 2 and done.takes_less_than(MEMORY_MAX), done
    assert "larger than 16777216 bytes" in done.output


def test_several_large_files_share_their_limits(yard):
    """Guards: a bomb in pieces is no smaller; 64 MiB in all is the most that is read."""
    folder = yard.folder / "conf.d"
    folder.mkdir()
    for number in range(4):
        lines = b"k%d:\n" % number + b"- a\n" * (4 * MIB - 2)
        (folder / f"{number}.yaml").write_bytes(lines)
    done = measure_corral(yard.folder, "check", "--config-dir", folder)
    assert done.returncode == 1 and done.takes_less_than(MEMORY_MAX), done
    assert "0.yaml:" in done.output and "too many nodes: more than 500000" in done.output
    (folder / "5.yaml").write_bytes(b"# one more\n" * 1000)
    done = measure_corral(yard.folder, "check", "--config-dir", folder)
    assert done.returncode == 2 and "together are larger than 67108864 bytes" in done.output, done


def test_more_files_than_anybody_has_are_not_read(yard):
    """Guards: the number of files is bounded."""
    folder = yard.folder / "conf.d"
    folder.mkdir()
    for number in range(1001):
        (folder / f"{number}.yaml").touch()
    done = measure_corral(yard.folder, "check", "--config-dir", folder)
    assert done.returncode == 2 and "more than 1000 config files" in done.output, done
