"""Everything at once: models that swap under load while children, clients and Corral itself break.

    CORRAL_CHAOS_SWAPS=2000 CORRAL_CHAOS_SEED=7 ctest --test-dir build/release -R chaos

The seed is printed; the same seed asks the same questions, though not at the same moments.
"""

import os
import random
import socket
import time

from corral_chaos import (
    BESIDE,
    MODELS,
    SWAPPING,
    TOKENS,
    Chaos,
    Monkey,
    events_of,
    swaps_of,
    whole_answer,
    write_whole,
)
from corral_harness import poll_until
from corral_measure import SANITIZED
from corral_processes import is_alive, marked, open_descriptors, resident_bytes, zombies_of

SWAPS = int(os.environ.get("CORRAL_CHAOS_SWAPS", "200"))
SEED = os.environ.get("CORRAL_CHAOS_SEED", "") or str(random.SystemRandom().randrange(10**6))
CLIENTS = 16
MEMORY_ROOM = 32 << 20
STUCK_SECONDS = 120  # without a single swap: a guard against hanging, no part of a result


def make_engines(yard):
    for name in MODELS:
        keys = {"healthCheckTimeout": 3, "unloadTimeout": 1}
        lock = yard.folder / ("swapping.lock" if name in SWAPPING else f"{name}.lock")
        script = yard.folder / f"engine-{name}" / "options"
        yard.engine(
            name, keys, tokens=TOKENS, obey=True, exclusive=lock, options_from=script,
            **({"interval": "2ms"} if name in BESIDE else {}),
        )
        write_whole(script, "")


def groups():
    return {
        "swapping": {"swap": True, "exclusive": True, "members": list(SWAPPING)},
        "beside": {"swap": False, "exclusive": False, "persistent": True, "members": list(BESIDE)},
    }


def rest(corral):
    """Every model has answered once and is gone again: the server's resident bytes."""
    for model in MODELS:
        body = {"model": model, "nonce": "rest"}

        def right(model=model, body=body):
            answer = corral.post("/v1/completions", body, deadline=60)
            return answer.status == 200 and answer.body == whole_answer(model, "rest")

        poll_until(right, 60, f"{model} to answer as it should")
    assert corral.post("/api/models/unload", deadline=60).status == 200
    poll_until(lambda: corral.engine_pids() == [], 30, "every engine to end")
    poll_until(lambda: not zombies_of(corral.server_pid), 30, "zombies to be reaped")
    return resident_bytes(corral.server_pid)


def rage(chaos, monkey, engines):
    """Faults until there were enough swaps; the last quarter spares Corral itself."""
    kills = iter(sorted(monkey.chance.random() * 0.75 for _ in range(3 + SWAPS // 100)))
    next_kill = next(kills)
    last, changed = 0, time.monotonic()
    while last < SWAPS and len(chaos.wrong) < 5:
        for _ in range(10):
            monkey.act()
            chaos.stop.wait(0.01 + monkey.chance.random() * 0.03)
        swaps = swaps_of(engines)
        if swaps > last:
            last, changed = swaps, time.monotonic()
        assert time.monotonic() < changed + STUCK_SECONDS, f"stuck after {last} swaps"
        if last >= next_kill * SWAPS:
            next_kill = next(kills, 2.0)
            monkey.kill_corral()
    return last


def overlaps_while_up(chaos, engines):
    """Starts that found another one of the same lock alive, though Corral had not been killed
    just before: what it did not start itself it cannot know to be alive."""
    found = [entry for engine in engines for entry in events_of(engine, "overlap")]
    return [
        words
        for at, words in found
        if not any(begin - 1 <= at / 1e9 <= end + 10 for begin, end in chaos.outages)
    ], found


def test_chaos_ends_with_every_request_answered_and_nothing_left(yard):
    """Guards: whatever children, clients, reloads and kills do to each other, a request gets its
    own model's whole answer, a visibly cut one or a documented refusal, two models that exclude
    each other never run together, and no process, port, descriptor or memory is left behind."""
    print(f"CORRAL_CHAOS_SEED={SEED} CORRAL_CHAOS_SWAPS={SWAPS}")
    make_engines(yard)
    corral = yard.serve(groups=groups())
    began, descriptors = time.monotonic(), len(open_descriptors(corral.server_pid))
    before = rest(corral)
    engines = [yard.engines[name] for name in SWAPPING]
    chaos = Chaos(corral, yard.engines, SEED)
    monkey = Monkey(chaos, yard)
    try:
        chaos.start_clients(CLIENTS)
        swaps = rage(chaos, monkey, engines)
    finally:
        monkey.make_peace()
        chaos.join()
        (yard.folder / "journal").write_text("\n".join(chaos.journal))
        print(dict(sorted(chaos.seen.items())))
    assert not chaos.wrong, "\n".join(chaos.wrong)
    corral, after = chaos.corral, rest(chaos.corral)
    poll_until(  # connections to a model that has gone may idle for a moment
        lambda: len(open_descriptors(corral.server_pid)) <= descriptors,
        30,
        f"no more than {descriptors} descriptors",
    )
    bad, overlaps = overlaps_while_up(chaos, yard.engines.values())
    print(
        f"{swaps} swaps, {sum(chaos.seen.values())} requests, {len(chaos.outages)} kills of Corral,"
        f" {monkey.reloads} reloads in {time.monotonic() - began:.0f} s;"
        f" {descriptors} descriptors as before, resident KiB {before >> 10} → {after >> 10},"
        f" {len(overlaps)} starts beside a leftover of a killed Corral,"
        f" {monkey.escaped} that escaped when guard and server were killed together"
    )
    assert not bad, bad
    assert SANITIZED or after < before + MEMORY_ROOM
    assert [pid for engine in yard.engines.values() for pid in engine.pids if is_alive(pid)] == []
    assert corral.terminate() == 0
    assert marked(str(yard.folder)) == []
    for port in range(yard.ports.start, yard.ports.start + len(MODELS)):
        with socket.create_server(("127.0.0.1", port)):
            pass
