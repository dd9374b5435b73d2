"""The main job, end to end: real llama-servers on models that `corral scan` found, swapped,
streamed from, unloaded and never left behind."""

import signal

import pytest
from corral_harness import poll_until
from corral_http import make_request
from corral_processes import is_alive, marked

CHAT = "/v1/chat/completions"


def body(model, tokens=8, **more):
    return {
        "model": model,
        "messages": [{"role": "user", "content": "Tell me something."}],
        "max_tokens": tokens,
        "temperature": 0,
        "seed": 7,
        **more,
    }


def answer_of(corral, model, tokens=8):
    """The text that the model says; the same for the same weights every time."""
    answer = corral.post(CHAT, body(model, tokens), deadline=120)
    assert answer.status == 200, answer
    document = answer.json()
    assert document["usage"]["completion_tokens"] == tokens
    return document["choices"][0]["message"]["content"]


def engines(farm):
    """The pids of every llama-server of this test, by the model file in its command line."""
    return [pid for pid in marked(str(farm.models)) if is_alive(pid)]


def begin_stream(corral, model, tokens=1500):
    """A stream of which the first chunk has come and the last has not."""
    connection = corral.connect(120)
    connection.send(make_request("POST", CHAT, body(model, tokens, stream=True)))
    response = connection.read_head()
    assert response.status == 200
    assert response.field("Content-Type").startswith("text/event-stream")
    assert connection.read_chunk().startswith(b"data: ")
    assert b"[DONE]" not in connection.buffer
    return connection, response


def test_a_real_model_answers_by_name_and_by_alias(farm):
    """Every model that scan found answers by its name, its file stem and its OpenAI alias."""
    corral = farm.serve_found()
    assert len(farm.ids) == 2
    first, second = (answer_of(corral, name) for name in farm.ids)
    assert first != second, "two models with different weights say different things"
    assert answer_of(corral, "llama-3.2-1b-instruct-q4_k_m") == first
    assert answer_of(corral, "gpt-3.5-turbo") == first
    assert corral.chat("gpt-5-nano").status == 404


def test_a_real_stream_arrives_piece_by_piece(farm):
    """The first chunk is read before the last one exists, and the end is clean."""
    corral = farm.serve_found()
    connection, response = begin_stream(corral, farm.ids[0])
    with connection:
        connection.read_body(response)
    assert response.complete
    assert response.body.endswith(b"data: [DONE]\n\n")
    assert len(response.chunks) > 100


def test_real_models_swap_in_both_directions(farm):
    """One llama-server at a time, each with its own answers, there and back again."""
    corral = farm.serve_found()
    a, b = farm.ids
    said = {}
    for name in (a, b, a, b):
        text = answer_of(corral, name)
        assert said.setdefault(name, text) == text
        assert corral.running() == {name: "ready"}
        assert len(engines(farm)) == 1


def test_twenty_alternating_requests_to_real_models_are_all_answered(farm):
    """All at once and alternating: none lost, none answered by the wrong model."""
    corral = farm.serve_found()
    said = {name: answer_of(corral, name) for name in farm.ids}
    connections = [(name, corral.connect(300)) for name in farm.ids * 10]
    for name, connection in connections:
        connection.send(make_request("POST", CHAT, body(name)))
    for name, connection in connections:
        answer = connection.read_response()
        assert answer.status == 200, answer
        assert answer.json()["choices"][0]["message"]["content"] == said[name]
        connection.close()


def test_a_real_model_is_unloaded_by_its_ttl(farm):
    """The file's `ttl` made short: the process goes by itself and comes back when asked."""
    text = farm.file.read_text()
    assert "ttl: 300" in text
    farm.file.write_text(text.replace("ttl: 300", "ttl: 1"))
    corral = farm.serve_found()
    said = answer_of(corral, farm.ids[0])
    poll_until(lambda: corral.running() == {}, 30, "the TTL to unload the model")
    assert engines(farm) == []
    assert answer_of(corral, farm.ids[0]) == said


def test_a_real_model_is_unloaded_by_api(farm):
    """When the answer is there, no llama-server is."""
    corral = farm.serve_found()
    answer_of(corral, farm.ids[0])
    assert len(engines(farm)) == 1
    assert corral.post(f"/api/models/unload/{farm.ids[0]}").status == 200
    assert engines(farm) == [] and corral.running() == {}
    answer_of(corral, farm.ids[1])
    assert corral.post("/api/models/unload").status == 200
    assert engines(farm) == []


def test_sigterm_while_a_real_model_streams_lets_the_stream_end(farm):
    """The stream runs to its [DONE], then Corral exits with 0 and leaves nothing."""
    with farm.file.open("a") as file:  # a busy machine may need longer than the default's 30 s
        file.write("\nlimits: {shutdownGrace: 600}\n")
    corral = farm.serve_found()
    connection, response = begin_stream(corral, farm.ids[0])
    with connection:
        corral.signal(signal.SIGTERM)
        connection.read_body(response)
    assert response.complete and response.body.endswith(b"data: [DONE]\n\n")
    assert corral.wait() == 0
    assert engines(farm) == []


@pytest.mark.parametrize("victim", ["server_pid", "guard_pid"])
def test_sigkill_of_corral_leaves_no_llama_server(farm, victim):
    """Whichever of the two processes dies, in the middle of a stream: no engine stays."""
    corral = farm.serve_found()
    server = corral.server_pid
    connection, _ = begin_stream(corral, farm.ids[0])
    with connection:
        assert len(engines(farm)) == 1
        corral.signal(signal.SIGKILL, getattr(corral, victim))
        corral.wait()
        poll_until(lambda: engines(farm) == [], 10, "every llama-server to be gone")
        poll_until(lambda: not is_alive(server), 10, "the server to be gone")


def test_a_real_model_file_that_is_broken_is_502_with_the_engines_words(farm):
    """llama-server's own last lines tell why it did not start."""
    corral = farm.serve_found()
    for file in farm.models.iterdir():
        file.write_bytes(file.read_bytes()[:5000])
    answer = corral.post(CHAT, body(farm.ids[0]), deadline=120)
    assert answer.status == 502, answer
    assert "exit" in answer.error["message"] and "\n" in answer.error["message"]
    assert engines(farm) == []
