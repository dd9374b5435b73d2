"""A reload (SIGHUP, POST /api/config/reload, --watch-config) changes what was edited and nothing
else: no request in flight pays for it, no process that stayed as it was is touched."""

import json
import os
import re
import shutil
import signal
import subprocess
import threading

import pytest
from corral_harness import CORRAL, Corral, poll_until
from corral_http import make_request
from corral_processes import is_alive

ANSWER = {"changed", "added", "removed", "restarted", "updated", "settings", "needs_restart",
          "warnings"}  # fmt: skip

PRELOAD = {"on_startup": {"preload": ["a"]}}


def text_of(config):
    return config if isinstance(config, str) else json.dumps(config, indent=1)


def replace(file, config):
    """Saves as editors do."""
    new = file.with_name(file.name + ".new")
    new.write_text(text_of(config))
    os.replace(new, file)


def reload(corral, **more):
    return corral.post("/api/config/reload", **more)


def reloaded(corral, **expected):
    """The answer of a reload that succeeded, which is empty but for what is expected."""
    response = reload(corral)
    assert response.status == 200, response
    answer = response.json()
    assert set(answer) == ANSWER
    assert answer.pop("changed") == bool(expected)
    assert {key: value for key, value in answer.items() if value} == expected
    return answer


def watching(yard, file, config=None, **more):
    """Corral with --watch-config."""
    if config is not None:
        file.write_text(text_of(config))
    words = ["serve", "--config", file, "--listen", "127.0.0.1:0", "--watch-config"]
    return yard.start(*words, **more)


def described(corral, model="b"):
    """The description of a model in the list: what the tests edit to see that an edit is there."""
    models = corral.get("/v1/models").json()["data"]
    return next((m.get("description") for m in models if m["id"] == model), None)


def edited(yard, text, **top):
    config = yard.config(**top)
    config["models"]["b"]["description"] = text
    return config


def await_description(corral, text):
    poll_until(lambda: described(corral) == text, what=f"the edit {text!r} to be in force")


def environment_of(pid):
    with open(f"/proc/{pid}/environ", "rb") as environ:
        return dict(line.split(b"=", 1) for line in environ.read().split(b"\0") if b"=" in line)


def take_back(gate):
    """What is left at a gate lets no more tokens out."""
    try:
        while os.read(gate, 4096):
            pass
    except BlockingIOError:
        pass


def test_a_stream_survives_fifty_reloads(yard):
    """SIGHUPs, API calls and watched saves that edit comments, model b, groups and macros: the
    stream of model a loses no byte, its process stays, and b is what the last edit says."""
    a = yard.engine("a", gate=True, tokens=52)
    b = yard.engine("b")
    file = yard.folder / "config.yaml"
    together = {"all": {"swap": False, "members": ["a", "b"]}}
    apart = {
        "one": {"exclusive": False, "members": ["a"]},
        "two": {"exclusive": False, "persistent": True, "members": ["b"]},
    }
    corral = watching(yard, file, yard.config(groups=together))
    request = make_request("POST", "/v1/completions", {"model": "a", "stream": True})
    a.open_gate(100)
    with corral.connect() as connection:
        whole = connection.send(request).read_response().body
    assert b"token51" in whole
    take_back(a.gate_handle)
    with corral.connect() as connection:
        connection.send(request)
        a.open_gate()
        response = connection.read_head()
        body = connection.read_chunk()
        config = edited(yard, "edit 0", groups=together)
        for number in range(1, 51):
            what = number % 4
            if what != 0:
                config["models"]["b"]["description"] = f"edit {number}"
            if what == 1:
                config["models"]["b"]["env"] = [f"EDIT={number}"]
            elif what == 2:
                config["groups"] = apart if config["groups"] == together else together
            elif what == 3:
                config["macros"] = {"edit": number}
                config["models"]["b"]["name"] = "b of edit ${edit}"
            replace(file, f"# edit {number}\n{text_of(config)}")
            if number % 3 == 0:
                corral.signal(signal.SIGHUP)
            elif number % 3 == 1:
                assert reload(corral).status == 200
            await_description(corral, config["models"]["b"]["description"])
            if what == 1:
                assert corral.chat("b").status == 200
                assert environment_of(b.starts[-1])[b"EDIT"] == str(number).encode()
            a.open_gate()
            body += connection.read_chunk()
        a.open_gate(100)
        connection.read_body(response)
        body += response.body
    assert response.complete
    assert body == whole
    assert len(a.starts) == 1 and is_alive(a.starts[0])
    assert len(b.starts) == 13  # once for each new command, and never for anything else
    assert "stays" not in corral.log


def test_the_answer_names_what_changed(yard):
    """Added, removed, restarted, updated, settings, and what waits for a restart of Corral."""
    for name in "abc":
        yard.engine(name)
    corral = yard.serve(groups=yard.together())
    file = corral.config_file
    for name in "abc":
        assert corral.chat(name).status == 200
    reloaded(corral)
    file.write_text("# a comment\n" + text_of(yard.config(groups=yard.together())))
    reloaded(corral)
    config = yard.config(groups={"g": {"members": ["d", "b"]}}, hooks=PRELOAD)
    config["models"]["d"] = config["models"].pop("c")
    config["models"]["a"].update(ttl=100, aliases=["alpha"], concurrencyLimit=3)
    config["models"]["b"]["env"] = ["NEW=1"]
    file.write_text(text_of(config))
    a, b, c = (yard.engines[name].starts[0] for name in "abc")
    reloaded(
        corral,
        added=["d"],
        removed=["c"],
        restarted=["b"],
        updated=["a"],
        settings=["hooks.on_startup.preload", "groups"],
        needs_restart=["hooks.on_startup.preload"],
    )
    poll_until(lambda: not is_alive(b) and not is_alive(c), what="b and c to stop")
    assert is_alive(a)
    assert corral.chat("alpha").status == 200
    assert corral.running() == {"a": "ready"}
    assert re.search(
        r"configuration reloaded \(POST /api/config/reload\): added d; removed c; restarts b; "
        r"updated a; settings hooks.on_startup.preload, groups; not before Corral is restarted: "
        r"hooks.on_startup.preload; 3 models",
        corral.log,
    )


def test_a_warning_comes_with_the_answer(yard):
    """What `corral check` would say is told, without keeping the config out."""
    yard.engine("a")
    corral = yard.serve()
    corral.config_file.write_text(text_of(yard.config(startprot=1)))
    answer = reload(corral).json()
    (warning,) = answer["warnings"]
    assert warning["severity"] == "warning" and "startprot" in warning["message"]
    assert warning["file"] == str(corral.config_file) and warning["line"] > 1
    assert "startPort" in warning["message"] + warning["hint"]


@pytest.mark.parametrize("text", ["models: [", "models: {a: {cmd: 'x', ttl: [7]}}", "- x\n"])
def test_a_broken_file_changes_nothing_and_is_reported_everywhere(yard, text):
    """API: 422 with every mistake; log; a request afterwards is served by the old config."""
    a = yard.engine("a")
    corral = yard.serve(apiKeys=["top-secret"])
    key = [("Authorization", "Bearer top-secret")]
    assert corral.chat("a").status == 401
    assert corral.post("/v1/completions", {"model": "a"}, fields=key).status == 200
    corral.config_file.write_text(text)
    response = reload(corral, fields=key)
    assert response.status == 422, response
    assert str(corral.config_file) in response.error["message"]
    mistakes = response.error["diagnostics"]
    assert mistakes and all(m["file"] == str(corral.config_file) for m in mistakes)
    assert any(m["severity"] == "error" and m["line"] >= 1 and m["message"] for m in mistakes)
    assert "the old configuration stays" in corral.log
    assert f"{corral.config_file}:{mistakes[0]['line']}:" in corral.log
    assert corral.post("/v1/completions", {"model": "a"}, fields=key).status == 200
    assert len(a.starts) == 1
    os.unlink(corral.config_file)
    response = reload(corral, fields=key)
    assert response.status == 500
    assert str(corral.config_file) in response.error["message"]


def test_a_reload_needs_a_key_and_a_post(yard):
    """Whoever may not use the models may not reload them, either; a link cannot."""
    yard.engine("a")
    corral = yard.serve(apiKeys=["k1"])
    assert reload(corral).status == 401
    assert corral.get("/api/config/reload", fields=[("X-Api-Key", "k1")]).status == 405
    assert reload(corral, fields=[("X-Api-Key", "k1")]).status == 200
    corral.config_file.write_text(text_of(yard.config(apiKeys=["k2"])))
    assert reload(corral, fields=[("X-Api-Key", "k1")]).status == 200
    assert reload(corral, fields=[("X-Api-Key", "k1")]).status == 401
    assert reload(corral, fields=[("X-Api-Key", "k2")]).status == 200


def test_a_connection_that_was_idle_sees_the_new_config(yard):
    """A key that was taken away opens nothing any more, also on a connection that was there."""
    yard.engine("a")
    corral = yard.serve(apiKeys=["k1"])
    old_key = [("Authorization", "Bearer k1")]
    with corral.connect() as connection:
        assert connection.request("GET", "/v1/models", fields=old_key).status == 200
        corral.config_file.write_text(text_of(yard.config(apiKeys=["k2"])))
        assert reload(corral, fields=old_key).status == 200
        assert connection.request("GET", "/v1/models", fields=old_key).status == 401


def test_the_active_profile_survives_a_reload_that_still_has_it(yard):
    """Guards: an edit elsewhere does not send names back to where they led before."""
    yard.engine("a")
    yard.engine("b")
    day = {"day": {"pins": {"gpt-4": "a"}}}
    corral = yard.serve(profiles=day)
    chosen = corral.request("PUT", "/api/profiles/active", {"name": "day"})
    assert chosen.status == 200
    config = edited(yard, "an edit", profiles=day)
    corral.config_file.write_text(text_of(config))
    reloaded(corral, updated=["b"])
    assert corral.get("/api/profiles").json()["active"] == "day"
    assert corral.chat("gpt-4").json()["model"] == "a"
    config["profiles"] = {"night": {"pins": {"gpt-4": "b"}}}
    corral.config_file.write_text(text_of(config))
    reloaded(corral, settings=["profiles"])
    assert corral.get("/api/profiles").json()["active"] is None
    assert corral.chat("gpt-4").status == 404


def test_values_that_need_no_process_take_effect_at_once(yard):
    """The ttl of a model that runs unloads it; its limit holds for the next request."""
    a = yard.engine("a", gate=True)
    yard.engine("b")
    corral = yard.serve(groups=yard.together())
    with corral.connect() as connection:
        connection.send(make_request("POST", "/v1/completions", {"model": "a", "stream": True}))
        response = connection.read_head()
        config = yard.config(groups=yard.together())
        config["models"]["a"].update(concurrencyLimit=1, ttl=1)
        corral.config_file.write_text(text_of(config))
        reloaded(corral, updated=["a"])
        assert corral.chat("a").status == 429
        a.open_gate(100)
        connection.read_body(response)
        assert response.complete
    poll_until(lambda: not is_alive(a.starts[0]), what="the new ttl to unload it")
    assert "state=stopping cause=ttl" in corral.log and len(a.starts) == 1


def test_a_removed_model_drains_and_one_that_comes_back_in_time_stays(yard):
    """The stream of a model that was taken out ends whole, then the process ends; put back before
    that, it is the same process that goes on."""
    a = yard.engine("a", gate=True)
    yard.engine("b")
    corral = yard.serve(groups=yard.together())
    groups = {"all": {"swap": False, "members": ["b"]}}
    with corral.connect() as connection:
        connection.send(make_request("POST", "/v1/completions", {"model": "a", "stream": True}))
        response = connection.read_head()
        without = yard.config(groups=groups)
        del without["models"]["a"]
        for _ in range(2):
            corral.config_file.write_text(text_of(without))
            reloaded(corral, removed=["a"], settings=["groups"])
            assert corral.chat("a").status == 404
            corral.config_file.write_text(text_of(yard.config(groups=yard.together())))
            reloaded(corral, added=["a"], settings=["groups"])
        a.open_gate(100)
        connection.read_body(response)
        assert response.complete
    a.open_gate(100)
    assert corral.chat("a").status == 200
    assert len(a.starts) == 1 and is_alive(a.starts[0])
    corral.config_file.write_text(text_of(without))
    reloaded(corral, removed=["a"], settings=["groups"])
    poll_until(lambda: not is_alive(a.starts[0]), what="the removed model to stop")


def test_many_reloads_under_load_fail_no_request(yard):
    """SIGHUP after SIGHUP, each with another file, while four clients ask without a pause."""
    a = yard.engine("a")
    b = yard.engine("b")
    corral = yard.serve(groups=yard.together())
    over, statuses = threading.Event(), []

    def ask(model):
        with corral.connect() as connection:
            while not over.is_set():
                statuses.append(connection.request("POST", "/v1/completions", {"model": model}))

    clients = [threading.Thread(target=ask, args=(name,)) for name in "abab"]
    for client in clients:
        client.start()
    try:
        number = 0
        while number < 500 or (len(statuses) <= 100 and number < 20_000):
            number += 1
            config = yard.config(groups=yard.together(), macros={"m": number})
            config["models"]["b"]["description"] = f"edit {number}"
            replace(corral.config_file, config)
            corral.signal(signal.SIGHUP)
        await_description(corral, f"edit {number}")
    finally:
        over.set()
        for client in clients:
            client.join(20)
    assert len(statuses) > 100
    assert {response.status for response in statuses} == {200}
    assert all(response.complete for response in statuses)
    assert len(a.starts) == 1 and len(b.starts) == 1


def test_concurrent_reloads_are_each_answered_for_what_was_there(yard):
    """Nobody gets the answer of a load that began before he asked: all see the file that they
    wrote before, and the first one says what changed."""
    yard.engine("a")
    yard.engine("b")
    corral = yard.serve()
    corral.config_file.write_text(text_of(edited(yard, "new")))
    connections = [corral.connect() for _ in range(8)]
    for connection in connections:
        connection.send(make_request("POST", "/api/config/reload"))
    answers = [connection.read_response() for connection in connections]
    assert {answer.status for answer in answers} == {200}
    assert sum(answer.json()["changed"] for answer in answers) == 1
    assert described(corral) == "new"


# ---- --watch-config -----------------------------------------------------------------------------


@pytest.fixture
def watched(yard):
    """A watched config with models a and b, and a's process."""
    yard.engine("a")
    yard.engine("b")
    file = yard.folder / "config.yaml"
    corral = watching(yard, file, yard.config())
    assert corral.chat("a").status == 200
    return yard, corral, file


def test_saves_of_every_kind_are_noticed(watched):
    """In place, by rename, deleted and written again; the process that did not change stays."""
    yard, corral, file = watched
    file.write_text(text_of(edited(yard, "in place")))
    await_description(corral, "in place")
    replace(file, edited(yard, "renamed"))
    await_description(corral, "renamed")
    os.unlink(file)
    poll_until(lambda: "the old configuration stays (the file changed)" in corral.log, what="it")
    assert described(corral) == "renamed"
    file.write_text(text_of(edited(yard, "back")))
    await_description(corral, "back")
    assert len(yard.engines["a"].starts) == 1


def test_a_file_that_is_not_closed_yet_is_not_read(watched):
    """Half a config is a config, too: with half of the models."""
    yard, corral, file = watched
    half, rest = text_of(edited(yard, "whole")).split('"b": {', 1)
    with open(file, "w") as out:
        out.write("# nothing yet\n")
        out.flush()
        replace(file.with_name("neighbour.yaml"), "x")  # the directory is busy meanwhile
        assert described(corral, "a") is None and corral.chat("a").status == 200
        out.write(half + '"b": {' + rest)
    await_description(corral, "whole")
    assert "removed" not in corral.log and "stays" not in corral.log


def test_a_save_that_changes_nothing_reloads_nothing(yard):
    """The same text again, or a comment: looked at, and not a word about it but for debuggers."""
    a = yard.engine("a")
    yard.engine("b")
    file = yard.folder / "config.yaml"
    corral = watching(yard, file, yard.config(logLevel="debug"))
    assert corral.chat("a").status == 200
    for number, text in enumerate(("", "# a comment\n", "# another\n\n"), 1):
        replace(file, text + text_of(yard.config(logLevel="debug")))
        unchanged = "[debug] configuration reloaded (the file changed): nothing changed"
        poll_until(lambda: corral.log.count(unchanged) == number, what="the look at the file")
    assert "[info] configuration reloaded" not in corral.log
    replace(file, edited(yard, "last"))
    await_description(corral, "last")
    assert corral.log.count("[info] configuration reloaded") == 1
    assert len(a.starts) == 1


def test_a_broken_save_is_reported_once_and_mended_by_the_next(watched):
    """A typo while editing takes nothing down."""
    yard, corral, file = watched
    replace(file, "models: [")
    poll_until(lambda: "the old configuration stays (the file changed)" in corral.log, what="it")
    assert corral.chat("a").status == 200
    replace(file, edited(yard, "mended"))
    await_description(corral, "mended")
    assert corral.log.count("stays") == 1
    assert len(yard.engines["a"].starts) == 1


def test_a_swapped_link_is_followed(yard):
    """Kubernetes' ConfigMap: config.yaml -> ..data/config.yaml, and ..data is swapped."""
    yard.engine("a")
    yard.engine("b")
    mount = yard.folder / "mount"
    for number in range(4):
        folder = mount / f"..{number}"
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(text_of(edited(yard, f"version {number}")))
    (mount / "..data").symlink_to("..0")
    (mount / "config.yaml").symlink_to("..data/config.yaml")
    corral = watching(yard, mount / "config.yaml")
    assert corral.chat("a").status == 200
    assert described(corral) == "version 0"
    for number in range(1, 4):
        (mount / "..tmp").symlink_to(f"..{number}")
        os.replace(mount / "..tmp", mount / "..data")
        await_description(corral, f"version {number}")
    (mount / "..3/config.yaml").write_text(text_of(edited(yard, "in the last one")))
    await_description(corral, "in the last one")
    assert len(yard.engines["a"].starts) == 1


def test_files_of_a_config_directory_come_and_go(yard):
    """--config-dir: a file that appears adds its models, also one that is a link into ..data; a
    broken one keeps the config as it was."""
    yard.engine("a")
    yard.engine("b")
    models = edited(yard, "from a file of its own")["models"]
    folder = yard.folder / "conf.d"
    folder.mkdir()
    base = yard.config()
    del base["models"]["b"]
    (folder / "10-a.yaml").write_text(text_of(base))
    words = ["serve", "--config-dir", folder, "--listen", "127.0.0.1:0", "--watch-config"]
    corral = yard.start(*words)
    assert corral.chat("a").status == 200
    assert corral.chat("b").status == 404
    (folder / "20-b.yaml").write_text(text_of({"models": {"b": models["b"]}}))
    await_description(corral, "from a file of its own")
    assert corral.chat("b").status == 200
    (folder / "20-b.yaml").write_text("models: [")
    poll_until(lambda: "the old configuration stays (the file changed)" in corral.log, what="it")
    assert described(corral) == "from a file of its own"
    (folder / "20-b.yaml").unlink()
    await_description(corral, None)
    (folder / "..1").mkdir()
    models["b"]["description"] = "linked"
    (folder / "..1/b.yaml").write_text(text_of({"models": {"b": models["b"]}}))
    (folder / "..data").symlink_to("..1")
    (folder / "20-b.yaml").symlink_to("..data/b.yaml")
    await_description(corral, "linked")


def test_a_config_that_appears_takes_the_place_of_a_scan(yard):
    """Without a config the usual places are watched."""
    yard.engine("a")
    yard.engine("b")
    corral = yard.start("serve", "--listen", "127.0.0.1:0", "--watch-config")
    assert corral.get("/v1/models").json()["data"] == []
    users = yard.folder / "home/.config/corral/config.yaml"
    users.parent.mkdir(parents=True)
    users.write_text(text_of(edited(yard, "found")))
    await_description(corral, "found")
    os.unlink(users)
    poll_until(lambda: "the config file has gone" in corral.log, what="a word")
    assert described(corral) == "found"
    users.write_text(text_of(edited(yard, "again")))
    await_description(corral, "again")


def without_inotify(words):
    """A shell command that runs the words where the kernel gives no inotify instance."""
    return f"echo 0 > /proc/sys/user/max_inotify_instances && exec {' '.join(words)}"


def may_have_no_inotify():
    words = ["unshare", "-Ur", "/bin/sh", "-c", without_inotify(["true"])]
    return shutil.which("unshare") and subprocess.run(words, capture_output=True).returncode == 0


@pytest.mark.skipif(not may_have_no_inotify(), reason="user namespaces are not allowed here")
def test_without_inotify_the_files_are_looked_at(yard):
    """A system whose watches are used up says so, and the config is still followed."""
    yard.engine("a")
    yard.engine("b")
    file = yard.folder / "config.yaml"
    file.write_text(text_of(yard.config()))
    words = [CORRAL, "serve", "--config", f"'{file}'", "--listen", "127.0.0.1:0", "--watch-config"]
    corral = Corral(
        yard.folder,
        arguments=["-Ur", "/bin/sh", "-c", without_inotify(words)],
        program=shutil.which("unshare"),
    )
    yard.corrals.append(corral)
    assert "max_user_instances" in corral.log and "every 2 s instead" in corral.log
    assert corral.chat("a").status == 200
    replace(file, edited(yard, "looked at"))
    await_description(corral, "looked at")
    assert len(yard.engines["a"].starts) == 1
