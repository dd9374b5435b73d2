"""A model that fails says why, in a class that programs can act on; one that fails again and again
is left alone for a while, and comes back when it is mended, reset or asked for by name."""

import os
import signal

import pytest
from corral_harness import poll_until
from corral_http import make_request
from corral_processes import is_alive


def states(corral):
    """Model → its entry in GET /api/models."""
    return {entry["id"]: entry for entry in corral.get("/api/models").json()["models"]}


def fail_thrice(corral, model):
    """From then on it rests."""
    for _ in range(3):
        assert corral.chat(model).status == 502


OUT_OF_MEMORY = (
    "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 16384.00 MiB on device 0: cudaMalloc "
    "failed: out of memory\\nllama_model_load: error loading model: unable to allocate CUDA0 "
    "buffer\\nmain: error: unable to load model\\n"
)
LIBRARY = (
    "llama-server: error while loading shared libraries: libcudart.so.12: cannot open shared "
    "object file: No such file or directory\\n"
)


@pytest.mark.parametrize(
    "text,kind",
    [
        (OUT_OF_MEMORY, "out_of_memory"),
        ("gguf_init_from_file: failed to open GGUF file 'x.gguf'\\n", "file_missing"),
        ("error: invalid argument: --no-such-flag\\n", "bad_flag"),
        ("couldn't bind HTTP server socket, port: 1\\n", "port_in_use"),
        (LIBRARY, "library_missing"),
    ],
    ids=["out_of_memory", "file_missing", "bad_flag", "port_in_use", "library_missing"],
)
def test_a_failed_start_is_classified(yard, text, kind):
    """Guards: the 502 has a stable class, the status, the last lines and what to do; so has the
    API, and the log names the class; /running does not show what does not run."""
    yard.engine("a", die_at_start=1, stderr=text)
    corral = yard.serve()
    answer = corral.chat("a")
    assert answer.status == 502, answer
    error = answer.error
    assert (error["code"], error["type"]) == ("bad_gateway", "server_error")
    failure = error["failure"]
    assert failure["class"] == kind
    assert failure["status"] == "exit status 1"
    assert failure["last_lines"][-1] == text.split("\\n")[-2]
    assert failure["hint"] and failure["hint"] in error["message"]
    told = states(corral)["a"]
    assert told["state"] == "failed" and told["failures"] == 1
    assert told["failure"]["class"] == kind
    assert told["retry_after"] is None, "the next request tries again at once"
    assert corral.running() == {}
    poll_until(lambda: f"class={kind}" in corral.log, what="the log to name the class")


def test_a_sigkill_from_elsewhere_is_told_as_one(yard):
    """Guards: who sees a model vanish without a word is told who it was, or most likely was."""
    yard.engine("a", die_at_start=0, signal=9)
    answer = yard.serve().chat("a")
    assert answer.status == 502 and "signal 9" in answer.error["message"]
    assert answer.error["failure"]["class"] in ("oom_killed", "other")


def test_a_missing_program_is_a_missing_file(yard):
    """Guards: the commonest mistake in a config is named, and no command line is shown."""
    corral = yard.serve(
        {"models": {"a": {"cmd": "/no/such/server --port ${PORT} --api-key sk-very-secret"}}}
    )
    answer = corral.chat("a")
    assert (answer.status, answer.error["failure"]["class"]) == (502, "file_missing")
    listed = corral.get("/api/models").body.decode()
    for text in (answer.body.decode(), listed, corral.log):
        assert "sk-very-secret" not in text and "--api-key" not in text


@pytest.mark.parametrize(
    "keys,told",
    [
        ({"healthCheckTimeout": 1, "unloadTimeout": 1}, "healthCheckTimeout"),
        ({"startStallTimeout": "500ms", "unloadTimeout": 1}, "startStallTimeout"),
    ],
    ids=["deadline", "stall"],
)
def test_a_start_that_never_gets_ready_is_a_timeout(yard, keys, told):
    """Guards: an endpoint that accepts and never answers ends at the deadline, or as soon as the
    model neither prints nor reads anything."""
    engine = yard.engine("a", keys, accept_and_hang=True)
    corral = yard.serve()
    answer = corral.chat("a", deadline=60)
    assert (answer.status, answer.error["failure"]["class"]) == (502, "timeout")
    assert told in answer.error["message"]
    poll_until(lambda: not is_alive(engine.starts[0]), what="the engine to be ended")


def test_a_model_that_keeps_failing_cools_down(yard):
    """Guards: the fourth request gets 503 with Retry-After and the reason, without a start; nobody
    else notices; when the time is over the model is tried again."""
    engine = yard.engine("a", die_at_start=4, stderr="no luck today\\n")
    yard.engine("b")
    corral = yard.serve()
    fail_thrice(corral, "a")
    answer = corral.chat("a")
    assert answer.status == 503, answer
    assert int(answer.field("Retry-After")) >= 1
    assert answer.error["code"] == "model_cooling_down"
    assert answer.error["failure"]["retry_after"] >= 1
    assert answer.error["failure"]["status"] == "exit status 4"
    assert "no luck today" in answer.error["message"]
    told = states(corral)["a"]
    assert (told["state"], told["failures"]) == ("failed", 3)
    assert told["since"] and "no luck today" in told["failure"]["message"]
    assert corral.chat("b").status == 200
    poll_until(lambda: states(corral)["a"]["retry_after"] is None, what="the rest to be over")
    starts = len(engine.starts)
    assert corral.chat("a").status == 502
    assert len(engine.starts) == starts + 1
    assert corral.chat("a").status == 503


@pytest.mark.parametrize(
    "path,body",
    [
        ("/api/models/reset/x", None),
        ("/api/models/reset", None),
        ("/api/models/unload/a", None),
        ("/api/models/unload", None),
    ],
)
def test_a_reset_or_an_unload_ends_the_cool_down(yard, path, body):
    """Guards: whoever has mended the model does not have to wait."""
    engine = yard.engine("a", {"aliases": ["x"]}, die_at_start=4)
    corral = yard.serve()
    fail_thrice(corral, "a")
    assert corral.chat("a").status == 503
    assert corral.post(path, body).status == 200
    told = states(corral)["a"]
    assert (told["state"], told["failures"], told["failure"]) == ("stopped", 0, None)
    assert corral.chat("a").status == 502
    assert len(engine.starts) == 4
    assert corral.chat("a").status == 502, "one failure costs nothing again"


def test_an_explicit_load_is_tried_whatever_was(yard):
    """Guards: POST /models/load is somebody's wish, not a client that retries."""
    engine = yard.engine("a", die_at_start=4)
    corral = yard.serve()
    fail_thrice(corral, "a")
    assert corral.post("/models/load", {"model": "a"}).status == 502
    assert len(engine.starts) == 4
    missing = corral.post("/api/models/reset/nobody")
    assert (missing.status, missing.error["code"]) == (404, "model_not_found")


def test_a_served_request_makes_a_model_good_again(yard):
    """Guards: a crash after good service costs one start, not a pause."""
    engine = yard.engine("a")
    corral = yard.serve()
    for turn in range(4):
        assert corral.chat("a").status == 200
        os.kill(engine.starts[turn], signal.SIGKILL)
        poll_until(lambda: corral.running() == {}, what="the death to be noticed")
    assert states(corral)["a"]["failure"]["status"].startswith("signal 9")
    assert corral.chat("a").status == 200
    assert states(corral)["a"]["failure"] is None


def test_a_model_that_is_kept_alive_comes_back_by_itself(yard):
    """Guards: keepAlive: always restarts a ready model that dies without a request; an unload is
    not undone."""
    engine = yard.engine("a", {"keepAlive": "always"})
    corral = yard.serve()
    assert corral.chat("a").status == 200
    os.kill(engine.starts[0], signal.SIGSEGV)
    poll_until(lambda: len(engine.starts) == 2, what="the second start")
    corral.wait_for_state("a", "ready")
    assert corral.post("/api/models/unload/a").status == 200
    assert corral.running() == {}
    assert corral.get("/health").status == 200
    assert len(engine.starts) == 2


def test_a_request_in_flight_learns_why_its_model_died(yard):
    """Guards: the 502 of a request that broke has the class of the end, not only a closed
    connection."""
    yard.engine("a", die_on_request=True, signal=11)
    answer = yard.serve().chat("a")
    assert answer.status == 502, answer
    assert answer.error["failure"]["status"].startswith("signal 11")
    assert "The model's process has ended" in answer.error["message"]


def test_a_forced_unload_cuts_requests_with_the_truth(yard):
    """Guards: ?force=1 waits for nobody; whose answer has not begun is told that the model was
    unloaded, and that nothing is wrong with it."""
    engine = yard.engine("a", gate=True)
    corral = yard.serve()
    with corral.connect() as waiting:
        waiting.send(make_request("POST", "/v1/completions", {"model": "a"}))
        poll_until(lambda: engine.count("request") == 1, what="the request to arrive")
        answer = corral.post("/api/models/unload/a?force=1&verbose=1")
        assert answer.status == 200, answer
        document = answer.json()
        assert document["msg"] == "ok"
        assert [entry["model"] for entry in document["models"]] == ["a"]
        assert document["models"][0]["was"] == "ready" and document["models"][0]["in_flight"] == 1
        cut = waiting.read_response()
    assert cut.status == 502, cut
    assert "unload" in cut.error["message"]
    assert not is_alive(engine.starts[0])
    assert states(corral)["a"]["state"] == "stopped"


def test_a_listing_says_what_each_model_does(yard):
    """Guards: GET /api/models shows every model, those that never ran, too."""
    yard.engine("a", gate=True), yard.engine("b")
    corral = yard.serve()
    before = states(corral)
    assert {name: entry["state"] for name, entry in before.items()} == {
        "a": "stopped",
        "b": "stopped",
    }
    assert before["a"]["since"] is None and before["a"]["failure"] is None
    with corral.connect() as client:
        client.send(make_request("POST", "/v1/completions", {"model": "a"}))
        poll_until(lambda: states(corral)["a"]["in_flight"] == 1, what="a request in flight")
        assert states(corral)["a"]["state"] == "ready"
        yard.engines["a"].open_gate()
        assert client.read_response().status == 200
