"""`corral scan` at work beside others: it stays and watches, it renews the config in use, and the
running server learns of it over http, https and a Unix socket."""

import json
import os
import signal
import subprocess

import pytest
from corral_harness import CORRAL, FAKE_ENGINE, home_environment, run_corral
from corral_origin import Authority
from corral_processes import poll_until

LLAMA, TINY = "llama-3.2-1b-instruct-q4_k_m.gguf", "tinyllama-1.1b-chat-v1.0.Q4_K_S.gguf"
LLAMA_ID, TINY_ID = "llama3.2:1b-instruct", "tinyllama1.1:b-chat"


@pytest.fixture
def models(yard, model_bytes):
    folder = yard.folder / "models"
    folder.mkdir()
    (folder / LLAMA).write_bytes(model_bytes)
    return folder


class Watch:
    """A running `corral scan --watch --json`; what it prints goes to a file."""

    def __init__(self, yard, *words):
        self.file = yard.folder / "watch.out"
        with self.file.open("wb") as out, (yard.folder / "watch.err").open("wb") as errors:
            self.process = subprocess.Popen(
                [CORRAL, "scan", "--watch", "--json", *map(str, words)],
                env=home_environment(yard.folder),
                cwd=yard.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
            )

    def scans(self):
        """The documents of all scans so far."""
        text = self.file.read_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def wait_for(self, what, predicate):
        """The first document that is as it should be."""
        poll_until(lambda: any(map(predicate, self.scans())), 60, what)
        return next(filter(predicate, self.scans()))

    def end(self, number):
        self.process.send_signal(number)
        return self.process.wait(60)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(60)


@pytest.fixture
def watch(yard):
    made = []
    yield lambda *words: made.append(Watch(yard, *words)) or made[-1]
    for one in made:
        one.close()


def found(document):
    return [model["id"] for model in document["models"]]


def left_out(document):
    return {os.path.basename(item["path"]): item["reason"] for item in document["left_out"]}


def test_watching_renews_the_file_when_files_have_come_to_rest(yard, models, watch, model_bytes):
    """Guards: a file that grows is no model before it is whole; a folder that comes is looked into;
    what goes is commented out."""
    file = yard.folder / "config.yaml"
    running = watch(models, "--output", file)
    running.wait_for("the first scan", lambda scan: found(scan) == [LLAMA_ID])
    growing = models / "deep/er/new-7b-chat.gguf"
    growing.parent.mkdir(parents=True)
    with growing.open("wb") as out:
        out.write(model_bytes[: len(model_bytes) // 2])
        out.flush()
        half = running.wait_for("half a file", lambda scan: growing.name in left_out(scan))
        assert found(half) == [LLAMA_ID] and "new7" not in file.read_text()
        out.write(model_bytes[len(model_bytes) // 2 :])
    whole = running.wait_for("the whole file", lambda scan: "new7:b-chat" in found(scan))
    assert whole["changes"]["added"] == ["new7:b-chat"]
    assert run_corral(yard.folder, "check", file).returncode == 0
    growing.unlink()
    running.wait_for("the end of it", lambda scan: scan["changes"]["gone"] == ["new7:b-chat"])
    assert "gone since" in file.read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watching_ends_cleanly_by_a_signal(yard, models, watch, number):
    """Guards: the exit status is that of the last scan, and no half file stays behind."""
    file = yard.folder / "out/config.yaml"
    running = watch(models, "--output", file)
    running.wait_for("the first scan", lambda scan: found(scan) == [LLAMA_ID])
    assert running.end(number) == 0
    assert [path.name for path in file.parent.iterdir()] == ["config.yaml"]
    assert run_corral(yard.folder, "check", file).returncode == 0


def test_watching_an_empty_folder_waits_for_the_first_model(yard, watch, model_bytes):
    """Guards: it may be started before there is anything to serve."""
    folder = yard.folder / "models"
    folder.mkdir()
    running = watch(folder, "--output", yard.folder / "config.yaml")
    running.wait_for("the first scan", lambda scan: found(scan) == [])
    (folder / TINY).write_bytes(model_bytes)
    running.wait_for("the model", lambda scan: found(scan) == [TINY_ID])


def test_watching_ends_when_nobody_reads_it(yard, models):
    """Guards: no watch is left behind by a server that died."""
    process = subprocess.Popen(
        [CORRAL, "scan", models, "--watch", "--json", "--output", yard.folder / "config.yaml"],
        env=home_environment(yard.folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert found(json.loads(process.stdout.readline())) == [LLAMA_ID]
    process.stdout.close()
    process.wait(60)


def test_write_renews_the_config_in_use(yard, models, model_bytes):
    """Guards: without a file's name it is the one that serve would find; --diff looks at the same
    one; the file before is kept; 2 where something is wrong, 1 where nothing is found."""
    file = yard.folder / "home/.config/corral/config.yaml"
    done = run_corral(yard.folder, "scan", models, "--write")
    assert done.returncode == 0 and "written: 1 model" in done.stdout, done
    first = file.read_text()
    assert run_corral(yard.folder, "scan", "--diff").returncode == 0
    (models / TINY).write_bytes(model_bytes)
    done = run_corral(yard.folder, "scan", "--diff")
    assert done.returncode == 1 and f'+  "{TINY_ID}":' in done.stdout, done
    assert file.read_text() == first
    done = run_corral(yard.folder, "scan", "--write")
    assert done.returncode == 0 and f"+ {TINY_ID}" in done.stdout, done
    assert file.with_name("config.yaml.bak").read_text() == first
    second = file.read_text()
    assert "up to date" in run_corral(yard.folder, "scan", "--write").stdout
    assert file.read_text() == second
    assert file.with_name("config.yaml.bak").read_text() == first
    named = {"CORRAL_CONFIG": str(yard.folder / "named.yaml")}
    done = run_corral(yard.folder, "scan", models, "--write", env=named)
    assert done.returncode == 0 and (yard.folder / "named.yaml").exists(), done
    for model in (LLAMA, TINY):
        (models / model).unlink()
    assert run_corral(yard.folder, "scan", "--write").returncode == 1
    assert run_corral(yard.folder, "check", file).returncode == 0
    file.write_text("models: [\n")
    assert run_corral(yard.folder, "scan", "--write").returncode == 2
    assert file.read_text() == "models: [\n"


def test_diff_and_write_together_do_both(yard, models, model_bytes):
    """Guards: what was shown is what was written, and the status is still that of diff(1)."""
    file = yard.folder / "config.yaml"
    run_corral(yard.folder, "scan", models, "--output", file)
    before = file.read_text()
    (models / TINY).write_bytes(model_bytes)
    done = run_corral(yard.folder, "scan", "--diff", "--write", "--output", file)
    assert done.returncode == 1 and TINY_ID in file.read_text(), done
    copy = yard.folder / "copy.yaml"
    copy.write_text(before)
    subprocess.run(["patch", "-s", copy], input=done.stdout, text=True, check=True)
    assert copy.read_text() == file.read_text()
    done = run_corral(yard.folder, "scan", "--diff", "--write", "--output", file)
    assert (done.returncode, done.stdout) == (0, ""), done


def engine_on_path(yard):
    """A PATH on which `llama-server` is a fake engine."""
    folder = yard.folder / "bin"
    folder.mkdir()
    (folder / "llama-server").symlink_to(FAKE_ENGINE)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def written(yard, models, **keys):
    """A config that scan wrote, with these keys of the top level."""
    file = yard.folder / "config.yaml"
    assert run_corral(yard.folder, "scan", models, "--output", file).returncode == 0
    extra = "".join(f"{key}: {json.dumps(value)}\n" for key, value in keys.items())
    file.write_text(file.read_text().replace("logLevel:", extra + "logLevel:", 1))
    return file


def own_certificate(yard):
    """A certificate that nobody but its owner believes in, for a name that is not the address."""
    certificate, key = Authority(yard.folder).issue("DNS:corral.test", own_signature=True)
    return {"certFile": str(certificate), "keyFile": str(key)}


def test_regenerate_reaches_a_server_with_a_certificate_of_its_own(yard, models, model_bytes):
    """Guards: who serves over https reloads by one command, too, with the key and to nobody else
    than the owner of the config's certificate."""
    file = written(yard, models, apiKeys=["sk-secret"], tls=own_certificate(yard))
    corral = yard.start(
        "serve", "--config", file, "--listen", "127.0.0.1:0", env=engine_on_path(yard)
    )
    assert corral.addresses[0].startswith("https://")
    (models / TINY).write_bytes(model_bytes)
    words = ["regenerate", "--config", file, "--server", f"127.0.0.1:{corral.port}"]
    done = run_corral(yard.folder, *words)
    assert done.returncode == 0 and f"added {TINY_ID}" in done.stderr, done
    assert "sk-secret" not in done.stdout + done.stderr
    other = Authority(yard.folder, "other").issue("DNS:corral.test", own_signature=True)[0]
    done = run_corral(yard.folder, *words, "--tls-cert-file", other)
    assert done.returncode == 2 and "certificate" in done.stderr, done


def test_regenerate_finds_the_server_by_its_config(yard, models, model_bytes):
    """Guards: `listen:` says where to ask: a Unix socket, one of several addresses."""
    socket = yard.folder / "corral.sock"
    dead = "127.0.0.1:1"
    file = written(yard, models, listen=[f"unix:{socket}"])
    corral = yard.start("serve", "--config", file, env=engine_on_path(yard))
    (models / TINY).write_bytes(model_bytes)
    done = run_corral(yard.folder, "regenerate", "--config", file)
    assert done.returncode == 0 and f"added {TINY_ID}" in done.stderr, done
    assert f"unix:{socket}" in done.stderr
    text = file.read_text().replace('listen: ["unix', f'listen: ["{dead}", "unix')
    file.write_text(text)
    done = run_corral(yard.folder, "regenerate", "--config", file)
    assert done.returncode == 0 and "has reloaded" in done.stderr, done
    corral.close()
    done = run_corral(yard.folder, "regenerate", "--config", file)
    assert done.returncode == 0 and f"No server answers at {dead}, unix:" in done.stderr, done
    done = run_corral(yard.folder, "regenerate", "--config", file, "--server", "ftp://x")
    assert done.returncode == 2 and "ftp" in done.stderr, done


def test_a_watching_server_leaves_the_process_of_a_running_model_alone(yard, models, model_bytes):
    """Guards: what comes and goes beside a model that answers costs it nothing; edits of its block
    by the scan are none."""
    file = written(yard, models)
    file.write_text(file.read_text().replace("discovery:\n", "discovery:\n  watch: true\n"))
    corral = yard.start(
        "serve", "--config", file, "--listen", "127.0.0.1:0", env=engine_on_path(yard)
    )
    assert corral.chat(LLAMA_ID).status == 200
    running = corral.running()
    engine = [pid for pid in corral.engine_pids() if is_engine(pid)]
    assert len(engine) == 1
    (models / TINY).write_bytes(model_bytes)
    poll_until(lambda: TINY_ID in served(corral), 60, "the new model")
    (models / TINY).unlink()
    poll_until(lambda: TINY_ID not in served(corral), 60, "its end")
    assert [pid for pid in corral.engine_pids() if is_engine(pid)] == engine
    assert corral.running() == running and corral.chat(LLAMA_ID).status == 200
    assert corral.terminate() == 0


def served(corral):
    return [entry["id"] for entry in corral.get("/v1/models").json()["data"]]


def is_engine(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return b"--port" in file.read()
    except OSError:
        return False
