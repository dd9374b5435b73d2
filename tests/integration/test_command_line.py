"""llama-swap's command lines work as its users have them in scripts and units, and Corral's own
say what is wrong with them."""

import json
import re
import shutil
import signal
import subprocess

import pytest
from corral_harness import run_corral
from corral_processes import children

LISTEN = "127.0.0.1:0"
SPELLINGS = {
    "one dash, space": lambda name, value: [f"-{name}", value],
    "one dash, equals": lambda name, value: [f"-{name}={value}"],
    "two dashes, space": lambda name, value: [f"--{name}", value],
    "two dashes, equals": lambda name, value: [f"--{name}={value}"],
}
FLAGS = {"config", "config-dir", "listen", "watch-config", "tls-cert-file", "tls-key-file"}


@pytest.fixture
def config(yard):
    yard.engine("a")
    file = yard.folder / "llama-swap.yaml"
    file.write_text(json.dumps(yard.config()))
    return file


@pytest.mark.parametrize("first", [[], ["serve"]], ids=["no command", "serve"])
@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_config_and_listen_in_every_spelling(yard, config, spell, first):
    """Without a subcommand `serve` is meant; Go's flag package takes all four spellings."""
    corral = yard.start(*first, *spell("config", str(config)), *spell("listen", LISTEN))
    assert corral.chat("a").status == 200


def test_the_list_of_llama_swaps_flags_is_complete(yard, config):
    """Every flag of llama-swap is known."""
    help_text = run_corral(yard.folder, "serve", "--help").stdout
    for name in FLAGS:
        assert f"--{name}" in help_text


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS.keys())
@pytest.mark.parametrize("name", ["tls-cert-file", "tls-key-file"])
def test_half_of_what_tls_needs_is_refused(yard, config, name, spell):
    """Guards: who asks for TLS never gets plain HTTP; the words are llama-swap's."""
    value = str(yard.folder)
    done = run_corral(yard.folder, "-config", config, "-listen", LISTEN, *spell(name, value))
    assert done.returncode == 1, done
    assert "both --tls-cert-file and --tls-key-file must be provided for TLS" in done.stderr


@pytest.mark.parametrize(
    "word", ["-watch-config", "--watch-config", "-watch-config=true", "--watch-config=false"]
)
def test_watch_config_is_accepted(yard, config, word):
    """A boolean flag, with and without a value; a unit that has it starts."""
    corral = yard.start("-config", str(config), word, "-listen", LISTEN)
    assert corral.get("/health").status == 200


@pytest.mark.parametrize("word", ["-version", "--version"])
def test_version_is_printed_and_nothing_else_happens(yard, word):
    """Scripts ask for the version; it names the program and a number."""
    done = run_corral(yard.folder, word)
    assert done.returncode == 0, done
    assert re.search(r"corral.*\d+\.\d+\.\d+", done.stdout)


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["serve", "--help"], ["scan", "--help"]])
def test_help_goes_to_stdout_and_succeeds(yard, words):
    """Help was asked for: it is not an error."""
    done = run_corral(yard.folder, *words)
    assert done.returncode == 0 and "Usage" in done.stdout + done.stderr
    assert done.stdout and not done.stderr


@pytest.mark.parametrize(
    "words,named",
    [
        (["--confg", "x"], "--confg"),
        (["serve", "--nope"], "--nope"),
        (["frobnicate"], "frobnicate"),
        (["--config"], "config"),
        (["serve", "--listen", "nonsense"], "nonsense"),
        (["serve", "--listen", "127.0.0.1:70000"], "70000"),
        (["serve", "--config", "no-such-file.yaml"], "no-such-file.yaml"),
    ],
)
def test_a_mistake_is_named_and_the_exit_status_is_1(yard, words, named):
    """Exit 1 and the word that was not understood, on stderr; never a crash, never a hang."""
    done = run_corral(yard.folder, *words)
    assert done.returncode == 1, done
    assert named in done.stderr
    assert "terminate called" not in done.stderr


def test_several_addresses_can_be_listened_on(yard, config):
    """-listen may be given several times."""
    corral = yard.start("-config", str(config), "-listen", LISTEN, "-listen", LISTEN)
    ports = {int(port) for port in re.findall(r"listening on http://\S+:(\d+)", corral.log)}
    assert len(ports) == 2
    for port in ports:
        corral.port = port
        assert corral.get("/health").status == 200


def test_an_address_in_use_is_an_error_that_names_it(yard, config):
    """The second Corral says what is wrong, exits 1 and does not disturb the first."""
    first = yard.start("-config", str(config), "-listen", LISTEN)
    done = run_corral(yard.folder, "-config", config, "-listen", f"127.0.0.1:{first.port}")
    assert done.returncode == 1
    assert str(first.port) in done.stderr and "in use" in done.stderr
    assert first.get("/health").status == 200


def test_a_public_address_without_a_key_is_warned_of(yard, config):
    """Whoever opens Corral to the network is told what that means."""
    corral = yard.start("-config", str(config), "-listen", "0.0.0.0:0")
    assert "[warning]" in corral.log or "WARN" in corral.log.upper()


def test_the_config_is_found_in_its_usual_places(yard, config):
    """--config, then $CORRAL_CONFIG, then the user's config directory."""
    users = yard.folder / "home/.config/corral/config.yaml"
    users.parent.mkdir(parents=True)
    users.write_text(json.dumps({"models": {"users": {"cmd": "x --port ${PORT}"}}}))
    corral = yard.start("serve", "--listen", LISTEN)
    assert [m["id"] for m in corral.get("/v1/models").json()["data"]] == ["users"]
    corral = yard.start("serve", "--listen", LISTEN, env={"CORRAL_CONFIG": str(config)})
    assert [m["id"] for m in corral.get("/v1/models").json()["data"]] == ["a"]


def test_without_a_config_it_serves_what_it_finds_even_nothing(yard):
    """An empty machine is no error: it listens and says what to do next."""
    corral = yard.start("serve", "--listen", LISTEN)
    assert corral.get("/v1/models").json()["data"] == []
    assert corral.chat("a").status == 404
    assert "scan" in corral.log + corral.output


def test_serve_warns_of_an_unknown_key_with_its_place_and_a_suggestion(yard):
    """A typo does not stop the service, but it is pointed at."""
    text = "models:\n  a:\n    cmd: x --port ${PORT}\n    alises: [b]\n"
    corral = yard.serve(text)
    assert re.search(r"config\.yaml:4:5\b.*alises.*aliases", corral.log, re.S), corral.log
    assert corral.get("/health").status == 200


def test_the_guard_is_outside_and_the_server_inside(yard, config):
    """Two processes; the outer passes on signals and the exit status."""
    corral = yard.start("-config", str(config), "-listen", LISTEN)
    (server,) = children(corral.guard_pid)
    assert server == corral.server_pid and server != corral.guard_pid
    corral.signal(signal.SIGINT)
    assert corral.wait() == 0


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_last_line_of_the_welcome_is_a_curl_that_answers(yard, config):
    """What a newcomer pastes works."""
    corral = yard.start("-config", str(config), "-listen", LISTEN)
    line = next(line for line in reversed(corral.output.splitlines()) if "curl" in line)
    done = subprocess.run(line.strip(), shell=True, capture_output=True, text=True, timeout=30)
    assert "hello from fake" in done.stdout or "token0" in done.stdout, (line, done)
