#!/usr/bin/python3
"""What reading a config costs: 1,000 models with macros and aliases, loaded and validated by
`corral check`, and dumped where this corral can. By hand, not in ctest:

    CORRAL_BIN=… tests/bench/config.py [--models 1000] [--rounds 20]

The target is less than 100 ms for all of it. Each figure is that of a whole process, its start
included; that of `corral --version` stands beside it.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

CORRAL = os.environ["CORRAL_BIN"]


def config(models):
    """Macros that use macros, an anchor that every model merges, aliases and groups."""
    lines = [
        "macros:",
        "  bin: llama-server",
        "  common: --host 127.0.0.1 --port ${PORT} --ctx-size 8192",
        '  run: "${bin} ${common} --alias ${MODEL_ID}"',
        "x-defaults: &defaults",
        "  ttl: 300",
        "  checkEndpoint: /health",
        "  env: [CUDA_VISIBLE_DEVICES=0, LD_LIBRARY_PATH=/opt/llama/lib]",
        "  filters: {stripParams: 'temperature, top_p', setParams: {cache_prompt: true}}",
        "models:",
    ]
    for number in range(models):
        lines += [
            f"  org/model-{number}:q4:",
            "    <<: *defaults",
            f"    cmd: ${{run}} -m /models/model-{number}.gguf",
            f"    aliases: [model-{number}, m{number}]",
            f"    description: Model number {number}",
            f"    metadata: {{number: {number}, tags: [a, b]}}",
        ]
    return "\n".join(lines) + "\n"


def milliseconds(words, rounds):
    """Of each run of the command, sorted."""
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True)
        taken.append((time.perf_counter() - start) * 1000)
    return sorted(taken)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    can_dump = "--dump" in subprocess.check_output([CORRAL, "check", "--help"], text=True)
    with tempfile.TemporaryDirectory(prefix="corral-bench-") as folder:
        file = Path(folder) / "config.yaml"
        file.write_text(config(options.models))
        halves = Path(folder) / "conf.d"
        halves.mkdir()
        text = file.read_text()
        (halves / "1.yaml").write_text(text)
        (halves / "2.yaml").write_text("apiKeys: [one-key]\nlogLevel: info\n")
        print(f"{options.models} models, {len(text):,} bytes")
        runs = {
            "start of the program": [CORRAL, "--version"],
            "load and validate": [CORRAL, "check", "--no-strict", file],
            "the same, two files": [CORRAL, "check", "--no-strict", "--config-dir", halves],
        }
        if can_dump:
            for form in ("yaml", "json"):
                words = [CORRAL, "check", "--no-strict", "--dump", form, file]
                runs[f"with a dump as {form}"] = words
        for name, words in runs.items():
            taken = milliseconds(words, options.rounds)
            print(f"{name:24} {taken[0]:7.1f} ms best {statistics.median(taken):7.1f} ms median")


if __name__ == "__main__":
    main()
