"""The official OpenAI client for Node.js completes its work against Corral and a real engine."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent / "openai"


@pytest.fixture(scope="module")
def client_folder(tmp_path_factory):
    """Where the pinned client is installed: $OPENAI_NODE_DIR, or a fresh install."""
    given = os.environ.get("OPENAI_NODE_DIR")
    if given and (Path(given) / "node_modules/openai").is_dir():
        return Path(given)
    folder = tmp_path_factory.mktemp("openai")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    words = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(words, cwd=folder, check=True, timeout=300)
    return folder


def test_chat_streaming_embeddings_and_models_with_the_official_client(
    farm_with_embedding, client_folder
):
    """Chat (whole and streamed, with usage), embeddings, the list, and a wrong model's error."""
    corral = farm_with_embedding.serve_found()
    (embedding,) = (name for name in farm_with_embedding.ids if "nomic" in name)
    done = subprocess.run(
        [os.environ.get("CORRAL_TEST_NODE", "node"), HERE / "client.cjs"],
        env={
            **os.environ,
            "OPENAI_NODE_DIR": str(client_folder),
            "BASE_URL": f"http://127.0.0.1:{corral.port}/v1",
            "CHAT_MODEL": "gpt-3.5-turbo",
            "EMBEDDING_MODEL": embedding,
            "MODELS": json.dumps(farm_with_embedding.ids),
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert "fetch" in told["passed"], told
    for passed in told["passed"].values():
        assert passed == ["models", "chat", "stream", "embeddings", "not found"], told
