"""`--config-dir`: the files of a directory are one config, for `check` and `serve`, as with
llama-swap."""

import json
import os
import pty
import signal

import pytest
from corral_harness import CORRAL, home_environment, run_corral
from corral_processes import poll_until

BASE = "macros: {bin: srv}\nmodels:\n  a: {cmd: '${bin} ${PORT}'}\n"


def put(folder, **files):
    """Writes base=… as base.yaml below a new directory."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def models_of(corral):
    return {model["id"] for model in corral.get("/v1/models").json()["data"]}


def test_the_files_of_a_directory_are_one_config(yard):
    """Guards: a macro of one file serves another, whatever their names' order; only *.yaml and
    *.yml of the directory itself count."""
    folder = put(yard.folder / "conf.d", z=BASE, b="models:\n  b: {cmd: '${bin} b ${PORT}'}\n")
    (folder / "c.yml").write_text("models:\n  c: {cmd: '${bin} c ${PORT}'}\n")
    (folder / "d.yaml.bak").write_text("[")
    (folder / "e.YAML").write_text("[")
    put(folder / "sub.yaml", broken="[")
    (folder / "linked.yaml").symlink_to("../elsewhere")
    (yard.folder / "elsewhere").write_text("models:\n  d: {cmd: 'x ${PORT}'}\n")
    done = run_corral(yard.folder, "check", "--config-dir", folder)
    assert done.returncode == 0 and "ok, 4 models" in done.stdout, done


def test_a_conflict_names_both_places_and_is_exit_1(yard):
    """Guards: file:line:column of the later one, its line with a caret, the place of the earlier;
    the file of --config comes first."""
    base = yard.folder / "base.yaml"
    base.write_text(BASE)
    folder = put(yard.folder / "conf.d", x="models:\n  a: {}\n", y="macros: {bin: other}\n")
    done = run_corral(yard.folder, "check", "base.yaml", "-config-dir", "conf.d")
    assert done.returncode == 1, done
    assert (
        'conf.d/x.yaml:2:3: error: duplicate models "a" found in conf.d/x.yaml (already defined '
        "in another config source)\n    2 |   a: {}\n      |   ^\n"
        "      = the other one is at base.yaml:3:3" in done.stderr
    )
    assert 'conf.d/y.yaml:1:15: error: conflict at "macros.bin": conf.d/y.yaml sets' in done.stderr
    assert "base.yaml and conf.d: 2 errors" in done.stdout

    answer = run_corral(yard.folder, "check", "base.yaml", "--config-dir", folder, "--json")
    (result,) = json.loads(answer.stdout)
    assert result["status"] == 1
    assert [d["file"] for d in result["diagnostics"]] == [f"{folder}/x.yaml", f"{folder}/y.yaml"]


def test_files_without_a_directory_are_checked_one_by_one(yard):
    """Guards: several FILEs are several configs; the worst of them is the exit status."""
    put(yard.folder, a=BASE, b=BASE, c="models: [")
    done = run_corral(yard.folder, "check", "a.yaml", "b.yaml")
    assert done.returncode == 0 and done.stdout.count("ok, 1 model") == 2, done
    done = run_corral(yard.folder, "check", "a.yaml", "c.yaml", "b.yaml")
    assert done.returncode == 1 and done.stdout.count("ok, 1 model") == 2, done


@pytest.mark.parametrize(
    "arguments,status,words",
    [
        (["a.yaml", "b.yaml", "--config-dir", "conf.d"], 2, "one FILE"),
        (["-", "--config-dir", "conf.d"], 2, "one FILE"),
        (["--config-dir", "nowhere"], 2, "nowhere: No such file"),
        (["--config-dir", "a.yaml"], 2, "a.yaml: Not a directory"),
        (["--config-dir", "empty"], 2, "no configuration sources found"),
        (["nowhere.yaml", "--config-dir", "conf.d"], 2, "cannot read nowhere.yaml"),
        (
            ["./conf.d/c.yaml", "--config-dir", "conf.d"],
            1,
            "-config path ./conf.d/c.yaml is also present in -config-dir conf.d; remove it from",
        ),
    ],
)
def test_what_cannot_be_one_config_is_said(yard, arguments, status, words):
    """Guards: no file is read twice or left out in silence."""
    put(yard.folder, a=BASE, b=BASE)
    put(yard.folder / "conf.d", c="models: {}\n")
    (yard.folder / "empty").mkdir()
    done = run_corral(yard.folder, "check", *arguments)
    assert done.returncode == status and words in done.stderr, done


def test_who_may_write_is_asked_of_every_file_and_of_the_directory(yard):
    """Guards: whoever can add a file there runs commands."""
    folder = put(yard.folder / "conf.d", a=BASE, b="logLevel: info\n")
    (folder / "b.yaml").chmod(0o666)
    done = run_corral(yard.folder, "check", "--config-dir", "conf.d")
    assert done.returncode == 1 and "conf.d/b.yaml: warning: others" in done.stderr, done
    (folder / "b.yaml").chmod(0o644)
    folder.chmod(0o777)
    done = run_corral(yard.folder, "check", "--config-dir", "conf.d")
    assert done.returncode == 1 and "conf.d: warning: others" in done.stderr, done


def test_serve_takes_the_directory_and_rereads_it(yard):
    """Guards: models of all files are served; SIGHUP finds a new file; a broken one changes
    nothing."""
    a, b, c = yard.engine("a"), yard.engine("b"), yard.engine("c")
    base = yard.folder / "base.yaml"
    base.write_text(json.dumps({"startPort": yard.ports.start, "models": {"a": a.config()}}))
    folder = put(yard.folder / "conf.d", b=json.dumps({"models": {"b": b.config()}}))
    corral = yard.start("-config", base, "-config-dir", folder, "-listen", "127.0.0.1:0")
    assert corral.chat("a").status == 200 and corral.chat("b").status == 200

    put(folder, c=json.dumps({"models": {"c": c.config()}}))
    corral.signal(signal.SIGHUP)
    poll_until(lambda: models_of(corral) == {"a", "b", "c"}, what="the new file's model")
    assert corral.chat("c").status == 200

    put(folder, d='models: {"a": {}}\n')
    corral.signal(signal.SIGHUP)
    poll_until(lambda: 'duplicate models "a"' in corral.log, what="the mistake in the log")
    assert models_of(corral) == {"a", "b", "c"} and corral.chat("c").status == 200


def test_serve_without_config_reads_the_directory_alone(yard):
    """Guards: --config-dir is enough, and the usual places are not looked at."""
    a = yard.engine("a")
    home = yard.folder / "home/.config/corral"
    home.mkdir(parents=True)
    (home / "config.yaml").write_text("models: [")
    config = {"startPort": yard.ports.start, "models": {"a": a.config()}}
    folder = put(yard.folder / "conf.d", a=json.dumps(config))
    corral = yard.start("--config-dir", folder, "--listen", "127.0.0.1:0")
    assert corral.chat("a").status == 200


def output_on_terminal(folder, **env):
    """What `corral check` writes when standard error is a terminal."""
    master, slave = pty.openpty()
    environment = home_environment(folder, {"TERM": "xterm", **env})
    environment = {key: value for key, value in environment.items() if value is not None}
    words = [CORRAL, "check", "bad.yaml"]
    actions = [(os.POSIX_SPAWN_DUP2, slave, 2)]
    pid = os.posix_spawn(CORRAL, words, environment, file_actions=actions)
    os.close(slave)
    shown = b""
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        shown += piece
    os.close(master)
    os.waitpid(pid, 0)
    return shown


def test_colours_are_for_terminals_that_want_them(yard, monkeypatch):
    """Guards: NO_COLOR (no-color.org) and a dumb terminal get plain text."""
    monkeypatch.chdir(yard.folder)
    monkeypatch.delenv("NO_COLOR", raising=False)
    (yard.folder / "bad.yaml").write_text("models: x\n")
    assert b"\x1b[" in output_on_terminal(yard.folder)
    assert b"\x1b[" in output_on_terminal(yard.folder, NO_COLOR="")
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        shown = output_on_terminal(yard.folder, **env)
        assert b"bad.yaml:1:9" in shown and b"\x1b" not in shown
