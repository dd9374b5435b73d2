"""A config that writes itself anew without losing a word of what people wrote: `corral scan` on an
existing file, `corral regenerate`, the server's own scans."""

import json
import os
import re
import subprocess

import pytest
from corral_harness import FAKE_ENGINE, run_corral
from corral_processes import poll_until

LLAMA, TINY = "llama-3.2-1b-instruct-q4_k_m.gguf", "tinyllama-1.1b-chat-v1.0.Q4_K_S.gguf"
LLAMA_ID, TINY_ID = "llama3.2:1b-instruct", "tinyllama1.1:b-chat"


@pytest.fixture
def models(yard, model_bytes):
    """Two models, named in the documentation."""
    folder = yard.folder / "models"
    folder.mkdir()
    for name in (LLAMA, TINY):
        (folder / name).write_bytes(model_bytes)
    return folder


@pytest.fixture
def written(yard, models):
    """A config that scan wrote for them."""
    file = yard.folder / "config.yaml"
    done = run_corral(yard.folder, "scan", models, "--output", file)
    assert done.returncode == 0, done
    return file


def scan(yard, file, *more, status=0):
    """Renews the file from what it says itself."""
    done = run_corral(yard.folder, "scan", "--output", file, *more)
    assert done.returncode == status, done.stderr + done.stdout
    assert run_corral(yard.folder, "check", file).returncode == 0, file.read_text()
    return done


def block_of(text, model):
    """From a model's marker to the blank line behind it."""
    lines = r"(?:(?!\n).*\n)*"
    pattern = rf"^  # corral: [^\n]*\n{lines}?  \"{re.escape(model)}\":\n{lines}"
    found = re.search(pattern, text, re.M)
    assert found, text
    return found.group(0)


def ids(yard, file):
    done = run_corral(yard.folder, "check", file, "--dump", "json")
    return list(json.loads(done.stdout)["models"])


def test_a_written_file_says_how_to_change_it_and_needs_no_arguments_again(yard, written):
    """Guards: the file knows its directories, so that renewing it needs nothing but the file."""
    text = written.read_text()
    assert text.startswith("# Written by `corral scan`") and "corral regenerate" in text
    assert str(yard.folder / "models") in text and text.count("hash=") == 3
    assert "capabilities:" in text and "metadata:" in text
    done = scan(yard, written)
    assert "up to date" in done.stdout and written.read_text() == text
    assert not (yard.folder / "config.yaml.bak").exists()


def test_an_edit_is_kept_and_what_would_be_written_is_shown(yard, written):
    """Guards: the unit is the block; its neighbours are renewed."""
    text = written.read_text()
    mine = block_of(text, LLAMA_ID).replace("    ttl: 300", "    ttl: 0  # mine")
    edited = text.replace(block_of(text, LLAMA_ID), mine) + "\n# a last word"
    written.write_text(edited)
    done = scan(yard, written, "--ttl", "60")
    after = written.read_text()
    assert mine in after and after.endswith("\n# a last word")
    assert "ttl: 60" in block_of(after, TINY_ID)
    assert "+    ttl: 60" in done.stdout and "-    ttl: 0  # mine" in done.stdout, done
    assert (yard.folder / "config.yaml.bak").read_text() == edited
    scan(yard, written, "--ttl", "60")
    assert written.read_text() == after


def test_a_model_taken_out_stays_out_until_it_is_forgotten(yard, written):
    """Guards: deleting a block is an edit like another, and it can be taken back."""
    text = written.read_text()
    written.write_text(text.replace(block_of(text, TINY_ID), ""))
    for _ in range(2):
        done = scan(yard, written)
        assert ids(yard, written) == [LLAMA_ID]
        assert TINY_ID in done.stdout and "--forget" in done.stdout, done
    done = scan(yard, written, "--forget", "nobody")
    assert "nobody" in done.stderr and ids(yard, written) == [LLAMA_ID]
    scan(yard, written, "--forget", TINY_ID)
    assert ids(yard, written) == [LLAMA_ID, TINY_ID]
    assert str(yard.folder / "models" / TINY) in block_of(written.read_text(), TINY_ID)


def test_a_model_whose_file_vanished_is_a_comment_with_the_date(yard, models, written):
    """Guards: an unmounted disk costs nothing but time, edits included."""
    text = written.read_text()
    mine = block_of(text, TINY_ID).replace("    ttl: 300", "    ttl: 7")
    edited = text.replace(block_of(text, TINY_ID), mine)
    written.write_text(edited)
    (models / TINY).rename(yard.folder / "away")
    scan(yard, written)
    gone = written.read_text()
    assert ids(yard, written) == [LLAMA_ID]
    assert re.search(r"gone since \d{4}-\d\d-\d\d: ", gone), gone
    assert "#|     ttl: 7" in gone
    scan(yard, written)
    assert written.read_text() == gone
    (yard.folder / "away").rename(models / TINY)
    scan(yard, written)
    assert written.read_text() == edited


def test_names_survive_a_second_quantization_and_a_move(yard, models, written, model_bytes):
    """Guards: names belong to files, wherever these lie and whatever comes beside them."""
    (models / LLAMA.replace("q4_k_m", "q8_0")).write_bytes(model_bytes + b"\0" * 4096)
    told = scan(yard, written).stdout
    assert f"\n    The plain name {LLAMA_ID} belongs to another model.\n" in told, told
    names = ids(yard, written)
    assert LLAMA_ID in names and LLAMA_ID + "-q8_0" in names
    models.rename(yard.folder / "moved")
    done = run_corral(yard.folder, "scan", yard.folder / "moved", "--output", written)
    assert done.returncode == 0 and ids(yard, written) == names, done
    assert "gone since" not in written.read_text()
    assert str(yard.folder / "moved" / LLAMA) in block_of(written.read_text(), LLAMA_ID)


def test_a_new_file_gets_the_names_that_its_models_had(yard, models, model_bytes):
    """Guards: with the file gone the state remembers the names, also of what is only printed."""
    first = run_corral(yard.folder, "scan", models)
    (models / LLAMA.replace("q4_k_m", "q8_0")).write_bytes(model_bytes + b"\0" * 4096)
    (models / LLAMA).rename(models / LLAMA.replace("q4_k_m", "q5_0"))
    second = run_corral(yard.folder, "scan", models)
    assert f'"{LLAMA_ID}":' in first.stdout and first.returncode == 0
    assert "q5_0.gguf" in block_of(second.stdout, LLAMA_ID), second.stdout


def test_a_model_of_ones_own_is_not_written_a_second_time(yard, models):
    """Guards: a file that a hand-written model uses needs no block, and its names are taken."""
    file = yard.folder / "config.yaml"
    command = f"llama-server --port ${{PORT}} -m {models / LLAMA}"
    own = f"# mine\nmodels:\n    {TINY_ID}:\n        cmd: {command}\n"
    own += "        aliases: [gpt-4]\nstartPort: 6000\n"
    file.write_text(own)
    done = run_corral(yard.folder, "scan", models, "--output", file)
    assert done.returncode == 0, done
    after = file.read_text()
    assert after.startswith(own[: own.index("startPort")]) and "\nstartPort: 6000\n" in after
    names = ids(yard, file)
    assert len(names) == 2 and TINY_ID in names, names
    assert after.count(str(models / LLAMA)) == 1


def test_a_scan_that_changes_nothing_is_remembered_and_hides_nothing(yard, models, model_bytes):
    """Guards: the short way over unchanged disks ends where anything changes: the config, a file,
    what is remembered, the engine; and a damaged memory of it is none."""
    file = yard.folder / "config.yaml"
    last = yard.folder / "home/.local/state/corral/scan.last"
    assert run_corral(yard.folder, "scan", models, "--output", file).returncode == 0
    assert last.exists()
    text = file.read_text()
    for _ in range(2):
        done = scan(yard, file)
        assert "up to date" in done.stdout and file.read_text() == text
    printed = run_corral(yard.folder, "scan", models).stdout
    assert run_corral(yard.folder, "scan", models).stdout == printed
    document = json.loads(run_corral(yard.folder, "scan", models, "--json").stdout)
    assert [model["id"] for model in document["models"]] == [LLAMA_ID, TINY_ID]
    assert document["changes"]["added"] == [LLAMA_ID, TINY_ID] and document["changed"]
    done = run_corral(yard.folder, "scan", models, env={"CORRAL_LLAMA_SERVER": "/opt/other"})
    assert "/opt/other -m" in done.stdout
    scan(yard, file)
    last.write_bytes(last.read_bytes()[:-3])
    assert "up to date" in scan(yard, file).stdout
    (models / TINY).write_bytes(model_bytes + b"\0" * 4096)
    assert f"~ {TINY_ID}" in scan(yard, file).stdout
    scan(yard, file)
    file.write_text(file.read_text().replace(block_of(file.read_text(), TINY_ID), ""))
    assert "--forget" in scan(yard, file).stdout and "--forget" in scan(yard, file).stdout
    broken = file.read_text() + "models: {}\n"
    file.write_text(broken)
    for _ in range(2):
        assert run_corral(yard.folder, "scan", "--output", file).returncode == 2


def test_diff_shows_and_writes_nothing(yard, models, written, model_bytes):
    """Guards: what is shown is a patch of the file; the exit status says whether there is one."""
    text = written.read_text()
    done = run_corral(yard.folder, "scan", "--diff", "--output", written)
    assert (done.returncode, done.stdout) == (0, ""), done
    (models / "new-7b-chat.gguf").write_bytes(model_bytes)
    done = run_corral(yard.folder, "scan", "--diff", "--output", written)
    assert done.returncode == 1 and written.read_text() == text, done
    assert done.stdout.startswith("--- ") and "\n+  \"new7:b-chat\":\n" in done.stdout
    copy = yard.folder / "copy.yaml"
    copy.write_text(text)
    subprocess.run(["patch", "-s", copy], input=done.stdout, text=True, check=True)
    scan(yard, written)
    assert written.read_text() == copy.read_text()


def test_json_says_what_changed(yard, written):
    """Guards: programs get the report, too."""
    text = written.read_text()
    written.write_text(text.replace("    ttl: 300", "    ttl: 5", 1))
    document = json.loads(run_corral(yard.folder, "scan", "--json", "--output", written).stdout)
    assert document["changed"] is False and len(document["models"]) == 2
    assert [kept["id"] for kept in document["changes"]["kept"]] == [LLAMA_ID]


def test_a_file_with_mistakes_stays_as_it_is(yard, written):
    """Guards: what cannot be read cannot be merged; nothing is written and the place is named."""
    broken = written.read_text() + "models: {}\n"
    written.write_text(broken)
    done = run_corral(yard.folder, "scan", "--output", written)
    assert done.returncode == 2 and re.search(r"config\.yaml:\d+:\d+", done.stderr), done
    assert written.read_text() == broken


def test_a_vanished_model_that_the_config_needs_elsewhere_stays(yard, models, written):
    """Guards: commenting a model out never breaks what somebody wrote about it."""
    written.write_text(written.read_text() + f"  mine:\n    members: [\"{TINY_ID}\"]\n")
    scan(yard, written)
    (models / TINY).unlink()
    done = scan(yard, written)
    assert ids(yard, written) == [LLAMA_ID, TINY_ID]
    assert "names the model elsewhere" in done.stdout, done


def test_a_directory_that_is_away_does_not_stop_the_others(yard, models, model_bytes):
    """Guards: a disk that is not mounted costs no model its block, and new ones elsewhere come; a
    directory that is typed must be there."""
    disk = yard.folder / "disk"
    disk.mkdir()
    (disk / "away-7b.gguf").write_bytes(model_bytes)
    file = yard.folder / "config.yaml"
    assert run_corral(yard.folder, "scan", models, disk, "--output", file).returncode == 0
    block = block_of(file.read_text(), "away7:b")
    disk.rename(yard.folder / "unmounted")
    (models / "new-7b-chat.gguf").write_bytes(model_bytes)
    done = scan(yard, file)
    assert "+ new7:b-chat" in done.stdout and "! away7:b" in done.stdout, done
    assert "disk: No such file or directory" in done.stderr and "gone for good" in done.stderr
    assert block in file.read_text() and "away7:b" in ids(yard, file)
    text = file.read_text()
    assert "up to date" in scan(yard, file).stdout and file.read_text() == text
    assert run_corral(yard.folder, "scan", models, disk, "--output", file).returncode == 2
    (yard.folder / "unmounted").rename(disk)
    done = scan(yard, file)
    assert "away7:b" not in done.stdout and block in file.read_text(), done
    (disk / "away-7b.gguf").unlink()
    assert "- away7:b" in scan(yard, file).stdout
    models.rename(yard.folder / "other")
    disk.rename(yard.folder / "gone")
    assert run_corral(yard.folder, "scan", "--output", file).returncode == 2


def test_settings_of_the_file_decide(yard, models, model_bytes):
    """Guards: everything that the command line can say, `discovery:` can say for good."""
    (models / "nice-coder-7b.gguf").write_bytes(model_bytes)
    file = yard.folder / "config.yaml"
    file.write_text(
        "discovery:\n  directories: [models]\n  ttl: 9\n  naming: filename\n  group: none\n"
        "  engine: /opt/llama-server\n  aliases: {openai: false, rules: {coder: '*CODER*'}}\n"
        "  overrides:\n    '*tinyllama*': {skip: true}\n"
        "    '*coder*': {ttl: 0, ctx: 4000, args: [--threads, '3'], name: house-coder}\n"
    )
    done = run_corral(yard.folder, "scan", "--output", file)
    assert done.returncode == 0 and "left out" in done.stderr, done
    loaded = json.loads(run_corral(yard.folder, "check", file, "--dump", "json").stdout)
    stem = LLAMA.removesuffix(".gguf")
    assert sorted(loaded["models"]) == ["house-coder", stem]
    coder = loaded["models"]["house-coder"]
    assert coder["ttl"] == 0 and "coder" in coder["aliases"] and "gpt-4" not in coder["aliases"]
    assert "--ctx-size 4000" in coder["cmd"] and coder["cmd"].strip().endswith("--threads 3")
    assert coder["cmd"].startswith("/opt/llama-server ") and loaded["models"][stem]["ttl"] == 9
    assert loaded["routing"]["router"]["settings"]["groups"] == {}


def test_the_command_line_says_it_all_and_the_new_file_keeps_it(yard, models):
    """Guards: a file made with options is renewed with them."""
    file = yard.folder / "config.yaml"
    words = ["--ttl", "9", "--naming", "filename", "--no-openai-aliases", "--group", "none"]
    words += ["--engine", "/opt/x", "--skip", "tiny*", "--ctx-for", "llama*=777"]
    words += ["--alias", "l=ll*"]
    words += ["--args-for", "llama*=--mlock", "--name-for", "llama*=house", "--server-watch"]
    words += ["--ttl-for", "llama*=5", "--threads-for", "llama*=2", "--gpu-layers-for", "llama*=7"]
    done = run_corral(yard.folder, "scan", models, *words, "--output", file)
    assert done.returncode == 0, done
    assert ids(yard, file) == ["house"]
    text = file.read_text()
    assert "--ctx-size 777" in text and "\n  watch: true\n" in text
    house = block_of(text, "house")
    assert "    ttl: 5\n" in house and "--n-gpu-layers 7" in house
    assert "--threads 2" in house and "--mlock" in house
    assert "      gpuLayers: 7\n" in house and "      threads: 2\n" in house
    assert "default_group" not in text and "gpt-" not in text
    assert "up to date" in scan(yard, file).stdout and file.read_text() == text


def engine_on_path(yard):
    """A PATH on which `llama-server` is a fake engine."""
    folder = yard.folder / "bin"
    folder.mkdir()
    (folder / "llama-server").symlink_to(FAKE_ENGINE)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def served(corral):
    return [entry["id"] for entry in corral.get("/v1/models").json()["data"]]


def test_regenerate_by_the_api_leaves_running_models_alone(yard, models, written, model_bytes):
    """Guards: the button of the web page: new models come, and what runs goes on running."""
    env = engine_on_path(yard)
    corral = yard.start("serve", "--config", written, "--listen", "127.0.0.1:0", env=env)
    assert corral.chat(LLAMA_ID).status == 200
    (pid,) = corral.engine_pids()
    (models / "new-7b-chat.gguf").write_bytes(model_bytes)
    answer = corral.request("POST", "/api/config/regenerate", "")
    assert answer.status == 200, answer
    document = answer.json()
    assert document["added"] == ["new7:b-chat"] and document["scan"]["added"] == ["new7:b-chat"]
    assert document["restarted"] == [] and corral.engine_pids() == [pid]
    assert served(corral) == [LLAMA_ID, "new7:b-chat", TINY_ID]
    written.write_text(written.read_text() + "models: {}\n")
    answer = corral.request("POST", "/api/config/regenerate", "")
    assert answer.status == 422 and len(served(corral)) == 3, answer


def test_regenerate_by_the_command_line_tells_the_server(yard, models, written, model_bytes):
    """Guards: one command renews the file and has it served; without a server it says so."""
    env = engine_on_path(yard)
    text = written.read_text().replace("logLevel:", "apiKeys: [sk-secret]\nlogLevel:")
    written.write_text(text)
    corral = yard.start("serve", "--config", written, "--listen", "127.0.0.1:0", env=env)
    (models / "new-7b-chat.gguf").write_bytes(model_bytes)
    words = ["regenerate", "--config", written, "--server", f"127.0.0.1:{corral.port}"]
    done = run_corral(yard.folder, *words)
    assert done.returncode == 0 and "added new7:b-chat" in done.stderr, done
    assert "sk-secret" not in done.stdout + done.stderr
    corral.close()
    done = run_corral(yard.folder, *words)
    assert done.returncode == 0 and "No server answers" in done.stderr, done


def test_the_server_watches_the_directories_when_it_is_told_to(yard, models, written, model_bytes):
    """Guards: a download that is complete is served without a word; what runs goes on."""
    env = engine_on_path(yard)
    written.write_text(written.read_text().replace("discovery:\n", "discovery:\n  watch: true\n"))
    corral = yard.start("serve", "--config", written, "--listen", "127.0.0.1:0", env=env)
    with open(models / "new-7b-chat.gguf.part", "wb") as part:
        part.write(model_bytes)
    (models / "deep").mkdir()
    (models / "deep/other-7b-chat.gguf").write_bytes(model_bytes)
    poll_until(lambda: "other7:b-chat" in served(corral), 60)
    assert "new7:b-chat" not in served(corral)
    (models / "new-7b-chat.gguf.part").rename(models / "new-7b-chat.gguf")
    poll_until(lambda: "new7:b-chat" in served(corral), 60)
    (models / "new-7b-chat.gguf").unlink()
    poll_until(lambda: "new7:b-chat" not in served(corral), 60)
    assert "gone since" in written.read_text()
