"""Fixtures of the integration tests. `yard` is a test's own corner: when the test ends, nothing
that it started is alive."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

from corral_harness import TINY_GGUF, Yard  # noqa: E402


def pytest_configure(config):
    for name in ("CORRAL_BIN", "FAKE_ENGINE_BIN", "TINY_GGUF_BIN"):
        if not os.access(os.environ.get(name, ""), os.X_OK):
            raise pytest.UsageError(f"set {name} to the built program (ctest does)")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Puts Corral's log below a failed test."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed and "yard" in item.funcargs:
        for corral in item.funcargs["yard"].corrals:
            report.sections.append(("corral's log", corral.log[-6000:]))


@pytest.fixture
def yard(tmp_path):
    made = Yard(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="session")
def model_bytes(tmp_path_factory):
    """A tiny model that loads, for tests that lay it out under names of their own."""
    file = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    subprocess.run([TINY_GGUF, file, "--seed", "1", "--name", "Tiny"], check=True)
    return file.read_bytes()
