"""`corral check` points at mistakes; `corral scan` writes a config that `corral serve` takes as it
is; both say by their exit status what they found."""

import json
import os
import re
import subprocess

import pytest
from corral_harness import CORRAL, FAKE_ENGINE, home_environment, run_corral
from corral_processes import cmdline

GOOD = "models:\n  a:\n    cmd: llama-server -m x.gguf --port ${PORT}\n    ttl: 300\n"


def check(yard, text, name="c.yaml"):
    file = yard.folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return run_corral(yard.folder, "check", file)


def test_a_good_config_is_exit_0(yard):
    """Nothing to say, nothing wrong."""
    done = check(yard, GOOD)
    assert done.returncode == 0, done


@pytest.mark.parametrize(
    "text,place,words",
    [
        (GOOD + "modles: {}\n", "5:1", ["modles", "models"]),
        (GOOD + "    alises: [b]\n", "5:5", ["alises", "aliases"]),
        (GOOD + "    ttl: 5\n", "5:5", ["ttl"]),
        ("models:\n  a:\n    cmd: x\n    ttl: abc\n", "4:10", ["ttl"]),
        ("models:\n  a:\n    cmd: x\n    ttl: -2\n", "4:10", ["ttl"]),
        ("models:\n  a:\n    cmd: \"x 'unterminated\"\n", "3:10", ["a"]),
        ("models:\n  a:\n    cmd: x ${NOPE}\n", "3:10", ["NOPE"]),
        ("models:\n  a: [1\n", "", []),
        ("- a\n- b\n", "1:1", []),
        ("models:\n\ta: b\n", "2:1", []),
        (GOOD + "groups:\n  g: {members: [nobody]}\n", "6:", ["nobody"]),
        ("models: &m\n  a: *m\n", "", []),
    ],
)
def test_a_mistake_is_exit_1_with_file_line_and_column(yard, text, place, words):
    """Every mistake names its place in the form that editors jump to, and what was meant."""
    done = check(yard, text)
    output = done.stdout + done.stderr
    assert done.returncode == 1, done
    assert f"c.yaml:{place}" in output
    for word in words:
        assert word in output


DUMPED = "macros: {k: sk-canary}\n" + GOOD.replace("ttl", "env: ['A_KEY=${k}']\n    ttl")


def dump(yard, form, text):
    file = yard.folder / "d.yaml"
    file.write_text(text)
    return run_corral(yard.folder, "check", file, "--dump", form)


def test_a_dump_is_all_that_stands_on_standard_output(yard):
    """`--dump json` can be piped: one document, macros expanded, without secrets; what is said
    about the file stands on standard error."""
    done = dump(yard, "json", DUMPED + "colour: red\n")
    assert done.returncode == 1, done
    model = json.loads(done.stdout)["models"]["a"]
    assert model["ttl"] == 300 and model["env"] == ["A_KEY=***"]
    assert "colour" in done.stderr and "1 model" in done.stderr
    assert "sk-canary" not in done.stdout + done.stderr


def test_a_dump_is_a_config_without_mistakes(yard):
    """What `--dump yaml` prints passes a strict check and is dumped as itself."""
    first = dump(yard, "yaml", DUMPED)
    assert first.returncode == 0, first
    second = dump(yard, "yaml", first.stdout)
    assert second.returncode == 0, second
    assert second.stdout == first.stdout


def test_there_is_no_dump_of_what_does_not_load(yard):
    """An error leaves standard output empty, so that nothing half is used."""
    done = dump(yard, "yaml", "startPort: 0\n")
    assert done.returncode == 1 and done.stdout == "", done
    assert "startPort must be greater than 1" in done.stderr
    assert dump(yard, "xml", GOOD).returncode != 0
    file = yard.folder / "d.yaml"
    assert run_corral(yard.folder, "check", file, "--dump", "json", "--json").returncode != 0


@pytest.mark.parametrize("kind", ["missing", "directory", "fifo", "loop", "unreadable"])
def test_a_file_that_cannot_be_read_is_exit_2(yard, kind):
    """No hang on a FIFO, no crash on a directory: one line that names the path."""
    file = yard.folder / "c.yaml"
    if kind == "directory":
        file.mkdir()
    elif kind == "fifo":
        os.mkfifo(file)
    elif kind == "loop":
        file.symlink_to(file)
    elif kind == "unreadable":
        if os.geteuid() == 0:
            pytest.skip("root reads everything")
        file.write_text(GOOD)
        file.chmod(0)
    done = run_corral(yard.folder, "check", file, deadline=30)
    assert done.returncode == 2, done
    assert "c.yaml" in done.stderr + done.stdout


@pytest.mark.parametrize(
    "text",
    [
        b"\x00\xff",
        b"[" * 100_000,
        b"{a: " * 100_000,
        b"a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
        + b"".join(
            b"a%d: &a%d [%s]\n" % (i, i, b",".join([b"*a%d" % (i - 1)] * 9)) for i in range(1, 9)
        ),
        b"a: &a {b: *a}\n",
        b"models:\n" + b"".join(b"  m%d: {cmd: x}\n" % i for i in range(3000)) + b"zz: [",
    ],
    ids=["binary", "brackets", "braces", "laughs", "cycle", "cut"],
)
def test_hostile_yaml_is_refused_and_not_suffered(yard, text):
    """A bomb, a cycle, a deep nest: exit 1, soon, without a crash."""
    done = check(yard, text)
    assert done.returncode == 1, done
    assert "c.yaml" in done.stdout + done.stderr


def gguf_text(text):
    return len(text).to_bytes(8, "little") + text.encode()


# A projector's header: GGUF 3, no tensors, general.architecture = clip, general.type = mmproj.
PROJECTOR = b"GGUF" + (3).to_bytes(4, "little") + (0).to_bytes(8, "little")
PROJECTOR += (2).to_bytes(8, "little")
for key, value in (("general.architecture", "clip"), ("general.type", "mmproj")):
    PROJECTOR += gguf_text(key) + (8).to_bytes(4, "little") + gguf_text(value)


@pytest.fixture
def models(yard, model_bytes):
    """A directory with two models and what is not one."""
    folder = yard.folder / "models"
    folder.mkdir()
    for name in ("llama-3.2-1b-instruct-q4_k_m.gguf", "tinyllama-1.1b-chat-v1.0.Q4_K_S.gguf"):
        (folder / name).write_bytes(model_bytes)
    (folder / "mmproj-model-f16.gguf").write_bytes(PROJECTOR)
    (folder / "half.gguf.part").write_bytes(model_bytes[:1000])
    (folder / "broken.gguf").write_bytes(b"GGUF\x03\x00\x00\x00" + b"\xff" * 16)
    (folder / "notes.txt").write_text("hello")
    return folder


def test_scan_writes_a_commented_config_with_the_documented_names(yard, models):
    """Two files, two models, by the documented convention; what is no model is left out."""
    done = run_corral(yard.folder, "scan", models)
    assert done.returncode == 0, done
    text = done.stdout
    assert re.search(r"^  ['\"]?llama3\.2:1b-instruct['\"]?:", text, re.M), text
    assert re.search(r"^  ['\"]?tinyllama1\.1:b-chat['\"]?:", text, re.M), text
    assert text.count("cmd:") == 2
    assert "llama-3.2-1b-instruct-q4_k_m" in text and "gpt-3.5-turbo" in text
    assert "#" in text and "${PORT}" in text and "ttl: 300" in text
    assert "mmproj-model" not in re.sub(r"#.*", "", text)


def test_what_scan_writes_check_finds_clean(yard, models):
    """The generated file has no mistake, and --output writes the same bytes."""
    file = yard.folder / "out.yaml"
    done = run_corral(yard.folder, "scan", models, "--output", file)
    assert done.returncode == 0, done
    assert run_corral(yard.folder, "check", file).returncode == 0
    printed = run_corral(yard.folder, "scan", models).stdout
    assert "cmd:" in printed


def test_scanning_twice_changes_nothing(yard, models):
    """Byte for byte the same, and the file is not even touched for nothing."""
    file = yard.folder / "out.yaml"
    run_corral(yard.folder, "scan", models, "--output", file)
    before = file.read_bytes()
    assert run_corral(yard.folder, "scan", models, "--output", file).returncode == 0
    assert file.read_bytes() == before


def test_names_already_given_stay_with_their_file(yard, models, model_bytes):
    """A new quantization does not take the name that another file already has."""
    file = yard.folder / "out.yaml"
    run_corral(yard.folder, "scan", models, "--output", file)
    (models / "llama-3.2-1b-instruct-q8_0.gguf").write_bytes(model_bytes + b"\0" * 4096)
    done = run_corral(yard.folder, "scan", models, "--output", file)
    assert done.returncode == 0, done
    text = file.read_text()
    assert text.count("cmd:") == 3
    block = text[text.index("llama3.2:1b-instruct") :]
    assert "q4_k_m.gguf" in block[: block.index("ttl:")]
    assert re.search(r"llama3\.2:1b-instruct-q8_0['\"]?:", text), text


def test_what_was_changed_by_hand_stays(yard, models):
    """Guards: scanning again never undoes a person's edit, with --keep-edited, which older scripts
    say, or without."""
    file = yard.folder / "out.yaml"
    run_corral(yard.folder, "scan", models, "--output", file)
    edited = file.read_text().replace("    ttl: 300", "    ttl: 301")
    file.write_text(edited)
    for more in (["--keep-edited"], []):
        done = run_corral(yard.folder, "scan", models, *more, "--output", file)
        assert done.returncode == 0 and "changed by hand" in done.stdout, done
        assert "-    ttl: 301" in done.stdout and "+    ttl: 300" in done.stdout, done
        assert file.read_text() == edited


def test_nothing_found_is_exit_1_and_says_where_it_looked(yard):
    """An empty directory is not an error of the program, but the caller must know."""
    empty = yard.folder / "empty"
    empty.mkdir()
    done = run_corral(yard.folder, "scan", empty)
    assert done.returncode == 1, done
    assert "empty" in done.stderr + done.stdout


def test_a_directory_that_does_not_exist_is_exit_2(yard):
    """A named directory that cannot be read is a mistake of the command line."""
    done = run_corral(yard.folder, "scan", yard.folder / "nowhere")
    assert done.returncode == 2, done
    assert "nowhere" in done.stderr


@pytest.mark.parametrize(
    "words",
    [["a\nb"], ["a${PORT}"], ["a${env.HOME}"], [b"\xff"], [".", "--skip", "a\n'b"],
     [".", "--alias", "a\x1b=b"], [".", "--args-for", "a='b\n- c'"], [".", "--engine", "a\nb"]],
)  # fmt: skip
def test_what_cannot_stand_in_a_config_is_refused_before_it_is_written(yard, words):
    """Guards: no word of the command line becomes another word, or another line, of the file; a
    directory in which no file can be named is an error and not an empty result."""
    file = yard.folder / "out.yaml"
    if words[0] != ".":
        os.makedirs(os.path.join(os.fsencode(yard.folder), os.fsencode(words[0])))
    done = subprocess.run(
        [CORRAL, "scan", *words, "--output", file],
        env=home_environment(yard.folder),
        cwd=yard.folder,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 2 and not file.exists(), done
    assert b" stand in a config" in done.stderr or b"control characters" in done.stderr


def engine_on_path(yard):
    """A PATH on which `llama-server` is a fake engine."""
    folder = yard.folder / "bin"
    folder.mkdir()
    (folder / "llama-server").symlink_to(FAKE_ENGINE)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def test_scan_then_serve_needs_no_hand_edit(yard, models):
    """Every model that scan found is served by name, by alias and by file stem."""
    env = engine_on_path(yard)
    file = yard.folder / "out.yaml"
    assert run_corral(yard.folder, "scan", models, "--output", file, env=env).returncode == 0
    corral = yard.start("serve", "--config", file, "--listen", "127.0.0.1:0", env=env)
    listed = [entry["id"] for entry in corral.get("/v1/models").json()["data"]]
    assert listed == ["llama3.2:1b-instruct", "tinyllama1.1:b-chat"]
    for name in (*listed, "gpt-3.5-turbo", "llama-3.2-1b-instruct-q4_k_m"):
        answer = corral.chat(name)
        assert answer.status == 200, answer
    assert len(corral.running()) == 1


def test_serve_without_a_config_scans_by_itself(yard, models):
    """The default directory holds a model: serve finds it without being told."""
    place = yard.folder / "home/.local/share/corral/models"
    place.parent.mkdir(parents=True)
    models.rename(place)
    env = engine_on_path(yard)
    corral = yard.start("serve", "--listen", "127.0.0.1:0", env=env)
    assert len(corral.get("/v1/models").json()["data"]) == 2
    assert corral.chat("llama3.2:1b-instruct").status == 200


HOSTILE_NAMES = [
    "a b", "-m", "--host 0.0.0.0", "$(touch pwn)", "`touch pwn`", "a;touch pwn", "a'b\"c", "a\\",
    "a${PORT}", "a: b #c", "&x", "*x", "!x", "%YAML", "{x}", "- x", "x" * 240, "trailing ",
]  # fmt: skip


def test_hostile_file_names_survive_scan_and_serve(yard, model_bytes):
    """After scan and load the word after -m is the path byte for byte, and nothing else ran."""
    folder = yard.folder / "models"
    folder.mkdir()
    paths = []
    for name in HOSTILE_NAMES:
        path = folder / (name + ".gguf")
        path.write_bytes(model_bytes)
        paths.append(str(path))
    env = engine_on_path(yard)
    file = yard.folder / "out.yaml"
    done = run_corral(yard.folder, "scan", folder, "--output", file, env=env)
    assert done.returncode == 0, done
    corral = yard.start("serve", "--config", file, "--listen", "127.0.0.1:0", env=env)
    listed = [entry["id"] for entry in corral.get("/v1/models").json()["data"]]
    served = set()
    for model in listed:
        assert corral.chat(model).status == 200, model
        (pid,) = corral.engine_pids()
        words = cmdline(pid)
        served.add(words[words.index("-m") + 1])
    assert served <= set(paths)
    left_out = set(paths) - served
    for path in left_out:
        assert os.path.basename(path)[:10] in done.stderr + file.read_text(), path
    assert len(left_out) <= 3, left_out
    assert not list(yard.folder.rglob("pwn"))


@pytest.mark.parametrize(
    "path,words",
    [(".", "is a directory, not a file"), ("none/a.db", "directory none is not writable")],
)
def test_a_store_that_cannot_be_written_is_an_error(yard, path, words):
    """Guards: llama-swap refuses such a file, so neither check nor serve takes it."""
    (yard.folder / "c.yaml").write_text(f"store: {{path: {path}}}\n")
    for command in (["check", "c.yaml"], ["serve", "--config", "c.yaml"]):
        done = run_corral(yard.folder, *command)
        assert done.returncode == 1 and words in done.stdout + done.stderr, done
    (yard.folder / "c.yaml").write_text("store: {path: a.db}\n")
    assert run_corral(yard.folder, "check", "c.yaml").returncode == 0
    assert not (yard.folder / "a.db").exists()
