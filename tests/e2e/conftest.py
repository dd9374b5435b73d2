"""Fixtures of the end-to-end tests: a real llama-server, and models that it loads at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "support"))

from corral_harness import TINY_GGUF, Yard, run_corral  # noqa: E402

SKIPPED = 77  # what ctest counts as a skip


def pytest_configure(config):
    for name in ("CORRAL_BIN", "TINY_GGUF_BIN"):
        if not os.access(os.environ.get(name, ""), os.X_OK):
            raise pytest.UsageError(f"set {name} to the built program (ctest does)")
    if os.access(os.environ.get("CORRAL_LLAMA_SERVER", ""), os.X_OK):
        return
    script = TESTS.parent / "packaging/get-engine.sh"
    found = subprocess.run([script], stdout=subprocess.PIPE, text=True)
    if found.returncode == 0 and found.stdout.strip():
        os.environ["CORRAL_LLAMA_SERVER"] = found.stdout.strip().splitlines()[-1]
    elif os.environ.get("CORRAL_TEST_NO_ENGINE") == "1":
        pytest.exit("skipped: no llama-server (CORRAL_TEST_NO_ENGINE=1)", returncode=SKIPPED)
    else:
        raise pytest.UsageError("no llama-server; CORRAL_TEST_NO_ENGINE=1 skips these tests")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Puts Corral's log below a failed test."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed and "farm" in item.funcargs:
        for corral in item.funcargs["farm"].corrals:
            report.sections.append(("corral's log", corral.log[-8000:]))


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory):
    """Three tiny models of different weights: two that chat and one that embeds."""
    folder = tmp_path_factory.mktemp("tiny")
    for number, (file, more) in enumerate(
        [
            ("llama-3.2-1b-instruct-q4_k_m.gguf", []),
            ("qwen2.5-7b-instruct-q4_k_m.gguf", []),
            ("nomic-embed-text-v1.5.f16.gguf", ["--embedding"]),
        ]
    ):
        name = file.removesuffix(".gguf")
        words = [TINY_GGUF, folder / file, "--seed", str(number + 1), "--name", name, *more]
        subprocess.run(words, check=True)
    return folder


class Farm(Yard):
    """A yard whose models are real: found by `corral scan`, served without a hand edit."""

    def __init__(self, folder, models, which):
        super().__init__(folder)
        self.models = self.folder / "models"
        self.models.mkdir()
        for file in models.iterdir():
            if any(word in file.name for word in which):
                (self.models / file.name).write_bytes(file.read_bytes())
        engine = os.environ["CORRAL_LLAMA_SERVER"]
        self.env = {"CORRAL_LLAMA_SERVER": engine}
        self.file = self.folder / "config.yaml"
        done = run_corral(
            self.folder, "scan", self.models, "--output", self.file, env=self.env
        )
        assert done.returncode == 0, done

    def serve_found(self):
        """`corral serve` with the file that `corral scan` wrote."""
        corral = self.start(
            "serve", "--config", self.file, "--listen", "127.0.0.1:0", env=self.env
        )
        self.ids = [entry["id"] for entry in corral.get("/v1/models").json()["data"]]
        return corral


@pytest.fixture
def farm(tmp_path, tiny_models):
    made = Farm(tmp_path, tiny_models, ["llama", "qwen"])
    yield made
    made.close()


@pytest.fixture
def farm_with_embedding(tmp_path, tiny_models):
    made = Farm(tmp_path, tiny_models, ["llama", "qwen", "nomic"])
    yield made
    made.close()
