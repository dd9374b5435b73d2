"""Scan, serve, answer, with no edit between: tiny real models of every role, in one file and in
several, with and without eyes, in every place where programs keep models. The real llama-server
loads each one that `corral scan` lists."""

import base64
import json
import os
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from corral_harness import TINY_GGUF, Yard, run_corral

HUB = ".cache/huggingface/hub/models--tiny--hub-1b-chat-GGUF"
LLAMA_CPP = ".cache/llama.cpp"
CLARA = ".clara/llama-models"

# Where, below the home folder; the words for tiny_gguf; the id that it must get.
MODELS = [
    (f"{CLARA}/llama-3.2-1b-instruct-q4_k_m.gguf", [], "llama3.2:1b-instruct"),
    (f"{CLARA}/sub/falcon-3b-q8_0.gguf", ["--base"], "falcon3:b"),
    (f"{CLARA}/nomic-embed-text-v1.5.f16.gguf", ["--embedding"], "nomic-embed-text"),
    (f"{CLARA}/tiny-reranker-0.6b.gguf", ["--reranker"], "tiny-reranker0.6:b"),
    (f"{CLARA}/big/big-7b-chat.gguf", ["--parts", "3"], "big7:b-chat"),
    (f"{CLARA}/eyes/tiny-vl-2b-instruct.gguf", [], "tiny-vl2:b-instruct"),
    (f"{CLARA}/blind/blind-2b-instruct.gguf", [], "blind2:b-instruct"),
    (".lmstudio/models/org/studio-4b-it-GGUF/studio-4b-it-Q4_K_M.gguf", [], "studio4:b-it"),
    (f"{LLAMA_CPP}/org_cached-8b-chat-GGUF_cached-8b-chat.gguf", [], "cached8:b-chat"),
    (f"{HUB}/blobs/b10b", [], "hub1:b-chat"),
]
PROJECTORS = [
    (f"{CLARA}/eyes/mmproj-F16.gguf", ["--projector"]),
    (f"{CLARA}/blind/mmproj-blind-2b-instruct.gguf", ["--projector", "--width", "128"]),
]


def make_home(home):
    for number, (file, words, _) in enumerate(MODELS + [(*item, "") for item in PROJECTORS]):
        path = home / file
        path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([TINY_GGUF, path, "--seed", str(number + 1), *words], check=True)
    snapshot = home / HUB / "snapshots/c0ffee"
    snapshot.mkdir(parents=True)
    (snapshot / "hub-1b-chat.gguf").symlink_to("../../blobs/b10b")
    (home / HUB / "refs").mkdir()
    (home / HUB / "refs/main").write_text("c0ffee")
    (home / HUB / "blobs/0dd.incomplete").write_bytes(b"GGUF")
    (home / CLARA / "half-1b.gguf.part").write_bytes(b"GGUF")


class Home(Yard):
    """A home folder full of models, scanned once, and the server on what was written."""

    def __init__(self, folder):
        super().__init__(folder)
        make_home(self.folder / "home")
        self.env = {"CORRAL_LLAMA_SERVER": os.environ["CORRAL_LLAMA_SERVER"]}
        self.file = self.folder / "config.yaml"
        self.scan = run_corral(self.folder, "scan", "--output", self.file, env=self.env)
        assert self.scan.returncode == 0, self.scan
        self.corral = self.start(
            "serve", "--config", self.file, "--listen", "127.0.0.1:0", env=self.env
        )


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    made = Home(tmp_path_factory.mktemp("discovery"))
    yield made
    made.close()


def picture():
    """A PNG of 32 x 32 red points, as a data URL."""

    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    rows = b"".join(b"\0" + b"\xc0\x20\x20" * 32 for _ in range(32))
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0))
    png += chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(png).decode()


def post(home, path, model, **body):
    answer = home.corral.post(path, {"model": model, **body}, deadline=300)
    assert answer.status == 200, answer
    return answer.json()


def chat(home, model, content):
    message = {"role": "user", "content": content}
    answer = post(home, "/v1/chat/completions", model, messages=[message], max_tokens=4)
    assert answer["usage"]["completion_tokens"] == 4


def test_everything_is_found_by_name_and_nothing_else(home):
    """Guards: each model of each place is listed once, under the name that its file gives."""
    listed = [entry["id"] for entry in home.corral.get("/v1/models").json()["data"]]
    assert sorted(listed) == sorted(name for _, _, name in MODELS)
    for part in ("0dd.incomplete", "half-1b.gguf.part", "mmproj-blind-2b-instruct.gguf"):
        assert part in home.scan.stderr, part


@pytest.mark.parametrize("name", [name for _, _, name in MODELS])
def test_every_model_answers_what_it_is_for(home, name):
    """Guards: what scan lists the real engine loads, and it answers by its role."""
    if "embed" in name:
        answer = post(home, "/v1/embeddings", name, input="A horse runs over the meadow.")
        assert len(answer["data"][0]["embedding"]) == 64
    elif "reranker" in name:
        answer = post(home, "/v1/rerank", name, query="horse", documents=["a barn", "the hay"])
        assert len(answer["results"]) == 2
    elif name == "falcon3:b":
        answer = post(home, "/v1/completions", name, prompt="The horse", max_tokens=4)
        assert answer["usage"]["completion_tokens"] == 4
    else:
        chat(home, name, "Tell me something.")


def test_a_model_with_a_fitting_projector_sees(home):
    """Guards: the projector beside a model is given to it, and a picture is taken."""
    words = [{"type": "text", "text": "What is it?"}]
    words.append({"type": "image_url", "image_url": {"url": picture()}})
    chat(home, "tiny-vl2:b-instruct", words)


def test_a_long_input_fits_into_an_embedding(home):
    """Guards: an input longer than the engine's usual batch of 512 tokens is embedded, too."""
    answer = post(home, "/v1/embeddings", "nomic-embed-text", input="horse gate barn " * 60)
    assert answer["usage"]["prompt_tokens"] > 512


def test_a_second_scan_opens_nothing_and_changes_nothing(home):
    """Guards: with the index in the state directory a scan gives the same file."""
    before = home.file.read_text()
    index = Path(home.folder / "home/.local/state/corral/models.index")
    lines = index.read_text().splitlines()
    assert json.loads(lines[0]) == {"corral_model_index": 1}
    stamp = index.stat().st_mtime_ns
    done = run_corral(home.folder, "scan", "--output", home.file, env=home.env)
    assert done.returncode == 0, done
    assert home.file.read_text() == before
    assert index.stat().st_mtime_ns == stamp, "nothing new was read, so nothing is written"
