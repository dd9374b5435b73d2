#!/usr/bin/python3
"""What a scan costs. By hand, not in ctest; needs 10.5 GB of disk in the temporary folder:

    CORRAL_BIN=… tests/bench/discovery.py [--models 1000] [--header-mb 10] [--small 20000]
                                          [--folder /dev/shm]

1,000 models whose headers have 10 MB: a vocabulary, its types and its merges, as real ones have.
Scanned for the first time with the header's pages in memory (the scan before, whose index was
thrown away), and again with the index, printed and into a file. Then 20,000 small files. Every
figure is one of a whole process, its start and the config that it writes included; bytes are those
of read(), told by the kernel, less those of a scan of an empty folder.
"""

import argparse
import os
import random
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CORRAL = os.environ["CORRAL_BIN"]
CONFIG_MODELS_MAX = 10_000  # a scan finds more, a config holds no more
STRING, ARRAY, U32, I32 = 8, 9, 4, 5
TARGETS = {  # seconds, bytes a file
    "first": (1.0, 64 << 10),
    "again": (0.05, None),
    "small": (5.0, None),
}


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(data)) + data


def pair(key, kind, value):
    return text(key) + struct.pack("<I", kind) + value


def strings(words):
    return struct.pack("<IQ", STRING, len(words)) + b"".join(text(word) for word in words)


def header(megabytes, seed):
    """Everything up to the tensors' entries; a vocabulary as large as it takes."""
    generator = random.Random(seed)
    count = max(int(megabytes * 1_000_000 / 34), 3)  # bytes of a token, its type and its merge
    letters = "".join(generator.choices("abcdefghijklmnopqrstuvwxyz", k=9973))
    tokens = []
    for number in range(count):  # one letter at first, then up to twelve
        begin = number * 31 % (len(letters) - 12)
        tokens.append(letters[begin : begin + 1 + number * 12 // count])
    merges = [f"{word[: len(word) // 2]} {word[len(word) // 2 :]}" for word in tokens]
    types = struct.pack("<i", 1) * count
    template = "{% if tools %}{{ tools }}{% endif %}" + "{{ message }}\n" * 250
    pairs = [
        pair("general.architecture", STRING, text("llama")),
        pair("llama.context_length", U32, struct.pack("<I", 8192)),
        pair("llama.embedding_length", U32, struct.pack("<I", 64)),
        pair("llama.block_count", U32, struct.pack("<I", 32)),
        pair("llama.attention.head_count", U32, struct.pack("<I", 8)),
        pair("tokenizer.ggml.model", STRING, text("gpt2")),
        pair("tokenizer.ggml.tokens", ARRAY, strings(tokens)),
        pair("tokenizer.ggml.token_type", ARRAY, struct.pack("<IQ", I32, count) + types),
        pair("tokenizer.ggml.merges", ARRAY, strings(merges)),
        pair("tokenizer.ggml.bos_token_id", U32, struct.pack("<I", 1)),
        pair("tokenizer.chat_template", STRING, text(template)),
    ]
    return pairs


def write_model(path, pairs, name, tensors):
    """A whole file: the head, its name, the pairs, and tensors of 128 bytes each."""
    head = b"GGUF" + struct.pack("<IQQ", 3, tensors, len(pairs) + 1)
    head += pair("general.name", STRING, text(name))
    entries = b"".join(
        text(f"blk.{number}.attn_output.weight") + struct.pack("<IQIQ", 1, 32, 0, number * 128)
        for number in range(tensors)
    )
    size = len(head) + sum(map(len, pairs)) + len(entries)
    with path.open("wb") as file:
        file.writelines([head, *pairs, entries, b"\0" * (-size % 32 + tensors * 128)])


def scan(state, folder, output=None):
    """Seconds, those of a processor, bytes read and the number of models of one `corral scan`."""
    env = {**os.environ, "XDG_STATE_HOME": str(state), "STATE_DIRECTORY": ""}
    start = time.perf_counter()
    words = [CORRAL, "scan", folder, "--json", *(["--output", output] if output else [])]
    process = subprocess.Popen(
        words, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    found = process.stdout.read().count(b'"path"')
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    seconds = time.perf_counter() - start
    counts = dict(
        line.split(": ") for line in Path(f"/proc/{process.pid}/io").read_text().splitlines()
    )
    _, _, usage = os.wait4(process.pid, 0)
    return seconds, usage.ru_utime + usage.ru_stime, int(counts["rchar"]), found


def measure(title, target, rounds, folder, state, files, empty_bytes, keep_index, output):
    """Prints a row; True when it holds."""
    taken = []
    if output:
        scan(state, folder, output)
    for _ in range(rounds):
        if not keep_index:
            shutil.rmtree(state, ignore_errors=True)
        seconds, busy, read, found = scan(state, folder, output)
        assert found >= min(files, CONFIG_MODELS_MAX), f"{found} of {files} files found"
        taken.append((seconds, busy, (read - empty_bytes) / files))
    seconds, busy, read = (statistics.median(column) for column in zip(*taken))
    seconds_max, bytes_max = TARGETS[target]
    holds = seconds <= seconds_max and (bytes_max is None or read <= bytes_max)
    print(
        f"{title:42} {seconds * 1000:8.1f} ms, {busy * 1000:7.1f} of a processor, "
        f"{read / 1024:6.1f} KiB a file   {'' if holds else 'MISSED'}",
        flush=True,
    )
    return holds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--header-mb", type=float, default=10)
    parser.add_argument("--small", type=int, default=20000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", help="where the files are made; /dev/shm spares the disk")
    options = parser.parse_args()
    holds = True
    with tempfile.TemporaryDirectory(prefix="corral-bench-", dir=options.folder) as name:
        root = Path(name)
        empty, large, small, state = (root / part for part in ("empty", "large", "small", "state"))
        for folder in (empty, large, small):
            folder.mkdir()
        pairs = header(options.header_mb, 1)
        for number in range(options.models):
            path = large / f"org-{number % 40}" / f"model-{number}-7b-instruct-q4_k_m.gguf"
            path.parent.mkdir(exist_ok=True)
            write_model(path, pairs, f"Model {number}", 291)
        pairs = header(0.0001, 2)
        for number in range(options.small):
            path = small / f"org-{number % 200}" / f"model-{number}-1b.gguf"
            path.parent.mkdir(exist_ok=True)
            write_model(path, pairs, f"Model {number}", 3)
        _, _, empty_bytes, _ = scan(state, empty)
        scan(state, large)  # into the page cache
        rows = [
            ("first scan", "first", large, options.models, False, None),
            ("scan again", "again", large, options.models, True, None),
            ("scan again into a file", "again", large, options.models, True, root / "c.yaml"),
            ("first scan of small files", "small", small, options.small, False, None),
            ("scan of small files again", "small", small, options.small, True, None),
        ]
        for title, target, folder, files, keep, output in rows:
            title = f"{title}, {files:,} files"
            holds &= measure(
                title, target, options.rounds, folder, state, files, empty_bytes, keep, output
            )
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
