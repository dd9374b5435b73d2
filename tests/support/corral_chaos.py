"""What a chaos test is made of: clients that know which answers are right, and the things that go
wrong while they ask. Everything random comes from one seed.

A client's threads end with `Chaos.stop`; who kills and restarts Corral is the caller's thread,
since Corral ends with the thread that started it. A wrong answer is a line in `Chaos.wrong`.
"""

import collections
import json
import os
import random
import re
import signal
import threading
import time

from corral_harness import poll_until
from corral_http import Closed, Connection, make_request
from corral_processes import descendants, is_alive, kill_quietly

SWAPPING = ("alpha", "bravo", "carol", "delta")  # exclude each other
BESIDE = ("extra", "fixed")  # run beside everything
MODELS = SWAPPING + BESIDE
TOKENS = 6
ANSWER_DEADLINE = 90.0  # seconds without an answer: it was lost

# What may be wrong with a start, and how often.
STARTS = [
    (60, ""),
    (6, "--load 60ms"),
    (6, "--listen-late 80ms"),
    (2, "--ignore-term"),
    (3, "--term-delay 150ms"),
    (3, "--setsid-grandchild"),
    (3, "--double-fork --regroup-grandchild"),
    (3, "--fork-grandchild --ignore-term"),
    (4, "--die-at-start 3"),
    (2, "--die-at-start 0 --signal 11 --binary-output"),
    (3, "--stderr-flood --flood-for 300ms"),
    (2, "--endless-line --flood-for 200ms"),
    (3, "--close-pipes"),
    (3, "--close-all"),
    (2, "--die-after 150ms"),
    (1, "--never-listen"),
    (1, "--accept-and-hang"),
    (1, "--garbage-probe"),
]

# Status → what Corral says for what can happen here. 503 may also be a model that cools down after
# it failed again and again.
REFUSALS = {
    429: r"[Tt]oo many requests",
    502: r"could not be started|was not ready after|ended the connection before it answered|"
    r"cannot be reached|cannot connect|ended by itself",
    503: r"was unloaded|cool|failed .* times|shutting down|is stopping",
}
GARBAGE = r"answer's head"


def pick(chance, weighted):
    return chance.choices([w[1] for w in weighted], [w[0] for w in weighted])[0]


def usage():
    return f'{{"prompt_tokens":7,"completion_tokens":{TOKENS},"total_tokens":{TOKENS + 7}}}'


def whole_answer(model, nonce):
    """The one right body of a completion that is not streamed."""
    return (
        f'{{"id":"{nonce}","object":"text_completion","created":1,"choices":[{{"index":0,'
        f'"text":"hello from fake","finish_reason":"stop"}}],"model":"{model}","usage":{usage()}}}'
    ).encode()


def whole_stream(model, nonce):
    """The one right body of a chat that is streamed."""
    head = f'data: {{"id":"{nonce}","object":"chat.completion.chunk","created":1,"model":"{model}",'
    events = [
        f'{head}"choices":[{{"index":0,"delta":{{"content":"token{i} "}},"finish_reason":null}}]}}'
        for i in range(TOKENS)
    ]
    events += [f'{head}"choices":[],"usage":{usage()}}}', "data: [DONE]"]
    return "".join(event + "\n\n" for event in events).encode()


def events_of(engine, word):
    """(time in ns, the line's words) of all such events, of every start."""
    lines = [line.split() for line in engine.events if line.startswith(word + " ")]
    return [(int(words[-1]), words) for words in lines]


def swaps_of(engines):
    """How often a model was started that was not the one started before it."""
    starts = sorted((at, words[2]) for e in engines for at, words in events_of(e, "start"))
    return sum(1 for before, after in zip(starts, starts[1:]) if before[1] != after[1])


class Chaos:
    """The clients, what they saw, and when Corral was down."""

    def __init__(self, corral, engines, seed):
        self.corral, self.engines, self.seed = corral, engines, seed
        self.port = corral.port
        self.stop, self.calm = threading.Event(), threading.Event()
        self.wrong, self.seen = [], collections.Counter()
        self.journal = []  # what went wrong when; left in the test's folder
        self.outages = []  # [begin, end], end None while it lasts
        self.lock = threading.Lock()
        self.threads = []

    def note(self, text):
        self.journal.append(f"{time.monotonic():.3f} {text}")

    def complain(self, text):
        self.note(f"WRONG {text}")
        with self.lock:
            self.wrong.append(text)

    def was_down(self, since):
        """Whether Corral was killed between then and now."""
        return any(end is None or end >= since for _, end in list(self.outages))

    def start_clients(self, count):
        for number in range(count):
            client = Client(self, number)
            thread = threading.Thread(target=client.run, daemon=True)
            self.threads.append(thread)
            thread.start()

    def join(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(ANSWER_DEADLINE + 30)
            if thread.is_alive():
                self.complain("a client still waits for its answer")


class Client:
    """One thread: asks, and knows what may come back."""

    def __init__(self, chaos, number):
        self.chaos, self.number, self.asked = chaos, number, 0
        self.chance = random.Random(f"{chaos.seed} client {number}")
        self.connection, self.connected = None, 0.0

    def run(self):
        ask = [
            (50, self.ask_whole),
            (24, self.ask_stream),
            (8, self.leave),
            (3, lambda: self.ask_fault("die", ask_stream=False)),
            (3, lambda: self.ask_fault("die-mid-stream", ask_stream=True)),
            (2, lambda: self.ask_fault("garbage", ask_stream=False)),
            (2, self.unload),
            (8, self.look),
        ]
        while not self.chaos.stop.is_set():
            try:
                pick(self.chance, ask)()
            except (Closed, OSError) as problem:
                self.hang_up()
                if isinstance(problem, TimeoutError):
                    self.chaos.complain(f"no answer in {ANSWER_DEADLINE} s: {self.last}")
                elif not self.chaos.was_down(self.connected):
                    self.chaos.complain(f"{problem!r} while Corral was up: {self.last}")
                else:
                    self.chaos.seen["cut by Corral's end"] += 1
                    self.chaos.stop.wait(0.02)
            except Exception as problem:  # an answer that cannot even be read
                self.hang_up()
                self.chaos.complain(f"{type(problem).__name__} {problem}: {self.last}")
        self.hang_up()

    def hang_up(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def send(self, method, target, body=None):
        self.asked += 1
        self.last = f"{method} {target} {body}"
        if self.connection is None or self.chance.random() < 0.2:
            self.hang_up()
            self.connected = time.monotonic()
            self.connection = Connection(self.chaos.port, deadline=ANSWER_DEADLINE)
        self.connection.send(make_request(method, target, body))

    def receive(self):
        answer = self.connection.read_response()
        closing = (answer.field("Connection") or "").lower() == "close"
        if closing or not answer.complete:
            self.hang_up()
        return answer

    def body(self, stream, **more):
        """A request's body, and the only right answer to it."""
        model = self.chance.choices(MODELS, [4] * len(SWAPPING) + [1] * len(BESIDE))[0]
        nonce = f"{self.number}-{self.asked}"
        right = whole_stream(model, nonce) if stream else whole_answer(model, nonce)
        return {"model": model, "nonce": nonce, "stream": stream, **more}, right

    def ask_whole(self):
        body, right = self.body(False)
        self.send("POST", "/v1/completions", body)
        self.judge(body["model"], right, self.receive())

    def ask_stream(self):
        body, right = self.body(True)
        self.send("POST", "/v1/chat/completions", body)
        self.judge(body["model"], right, self.receive())

    def ask_fault(self, fault, ask_stream):
        if self.chaos.calm.is_set():
            return
        body, right = self.body(ask_stream, fault=fault)
        self.send("POST", "/v1/chat/completions" if ask_stream else "/v1/completions", body)
        answer = self.receive()
        if answer.status == 200 and answer.complete:
            self.chaos.complain(f"a whole answer of a model that broke: {self.last} {answer}")
        self.judge(body["model"], right, answer, f"|{GARBAGE}" if fault == "garbage" else "")

    def leave(self):
        """Goes away while it waits or while it reads."""
        fault = {"fault": "hang"} if self.chance.random() < 0.2 else {}
        body, _ = self.body(self.chance.random() < 0.5, **fault)
        self.send("POST", "/v1/completions", body)
        self.connection.has_bytes_within(self.chance.random() * 0.05)
        if self.chance.random() < 0.5:
            self.connection.reset()
            self.connection = None
        self.hang_up()
        self.chaos.seen["left"] += 1

    def unload(self):
        model = self.chance.choice(("", *(f"/{model}" for model in MODELS)))
        self.send("POST", f"/api/models/unload{model}")
        answer = self.receive()
        self.chaos.seen["unloads"] += 1
        if answer.status != 200:
            self.chaos.complain(f"unload of {model}: {answer}")

    def look(self):
        self.send("GET", self.chance.choice(("/running", "/v1/models", "/health")))
        answer = self.receive()
        if answer.status != 200 or not answer.complete:
            self.chaos.complain(f"{self.last}: {answer}")
        elif "/running" in self.last:
            running = {entry["model"]: entry["state"] for entry in answer.json()["running"]}
            if sum(running.get(model) == "ready" for model in SWAPPING) > 1:
                self.chaos.complain(f"two that exclude each other: {running}")
        self.chaos.seen["looks"] += 1

    def judge(self, model, right, answer, also=""):
        """One answer: whole and right, visibly cut, or refused for a reason that is documented."""
        if answer.status == 200:
            if answer.complete and answer.body != right:
                self.chaos.complain(f"a wrong body: {self.last} {answer.body!r}")
            elif not right.startswith(answer.body):
                self.chaos.complain(f"wrong bytes before a cut: {self.last} {answer.body!r}")
            elif not answer.complete and self.chaos.calm.is_set():
                self.chaos.complain(f"a cut answer in calm times: {self.last} {answer.body!r}")
            self.chaos.seen["whole" if answer.complete else "cut"] += 1
            return
        error = answer.error
        said = re.search(REFUSALS.get(answer.status, "never") + also, error["message"])
        self.chaos.seen[f"{answer.status} {said and said.group()}"] += 1
        if not said or not answer.complete:
            self.chaos.complain(f"{self.last}: {answer}")
        if answer.status in (429, 503) and not answer.field("Retry-After"):
            self.chaos.complain(f"a refusal that does not say when: {answer}")
        others = [name for name in MODELS if name != model and f'"{name}"' in error["message"]]
        if others:
            self.chaos.complain(f"{self.last} was told of {others}: {error}")


class Monkey:
    """What goes wrong around Corral; the caller's thread."""

    def __init__(self, chaos, yard):
        self.chaos, self.yard = chaos, yard
        self.chance = random.Random(f"{chaos.seed} monkey")
        self.reloads, self.escaped, self.stopped = 0, 0, []

    def act(self):
        """One thing, of those that Corral survives."""
        pick(
            self.chance,
            [
                (30, self.script),
                (12, self.kill_one),
                (8, self.stop_one),
                (3, self.reload),
                (30, lambda: None),
            ],
        )()
        self.continue_stopped()

    def alive(self):
        return [
            pid
            for engine in self.chaos.engines.values()
            for pid in engine.pids[-6:]
            if is_alive(pid)
        ]

    def script(self):
        """What the next start of a model will be like."""
        engine = self.chance.choice(list(self.chaos.engines.values()))
        words = pick(self.chance, STARTS)
        write_whole(engine.folder / "options", words)
        self.chaos.note(f"next {engine.name}: {words}")

    def kill_one(self):
        alive = self.alive()
        if alive:
            pid = self.chance.choice(alive)
            kill_quietly(pid)
            self.chaos.note(f"killed {pid}")

    def stop_one(self):
        alive = self.alive()
        if alive:
            pid = self.chance.choice(alive)
            kill_quietly(pid, signal.SIGSTOP)
            self.stopped.append((time.monotonic() + self.chance.random() * 0.4, pid))
            self.chaos.note(f"stopped {pid}")

    def continue_stopped(self, everything=False):
        now = time.monotonic()
        for until, pid in list(self.stopped):
            if everything or until <= now:
                kill_quietly(pid, signal.SIGCONT)
                self.stopped.remove((until, pid))

    def reload(self):
        """Another environment for one model: it drains and comes back as it is now."""
        self.reloads += 1
        config = json.loads(self.chaos.corral.config_file.read_text())
        config["models"][self.chance.choice(MODELS)]["env"] = [f"TURN={self.reloads}"]
        write_whole(self.chaos.corral.config_file, json.dumps(config))
        self.chaos.corral.signal(signal.SIGHUP)
        self.chaos.note("reload")

    def kill_corral(self):
        """SIGKILL of one of the two processes or of both, and a new one on the port at once."""
        chaos, old = self.chaos, self.chaos.corral
        victims = self.chance.choice((["server"], ["guard"], ["server", "guard"]))
        pids = {"server": old.server_pid, "guard": old.guard_pid}
        outage = [time.monotonic(), None]
        chaos.outages.append(outage)
        chaos.note(f"killing corral's {victims} {pids}")
        for name in victims:
            kill_quietly(pids[name])
        again = self.yard.start(
            "serve", "--config", old.config_file, "--listen", f"127.0.0.1:{chaos.port}"
        )
        again.config_file = old.config_file
        chaos.corral = again
        old.wait()
        poll_until(lambda: not is_alive(pids["server"]), what="the old server to end")
        outage[1] = time.monotonic()
        if len(victims) == 2:
            self.end_escaped(again)

    def end_escaped(self, corral):
        """Who left its engine's process has nobody left that knows of it once both were killed:
        PDEATHSIG reaches the engines only. A person would have to end it; here it is counted."""
        ours = set(descendants(corral.process.pid))
        for engine in self.chaos.engines.values():
            for pid in set(engine.pids) - set(engine.starts) - ours:
                if is_alive(pid):
                    kill_quietly(pid)
                    self.escaped += 1

    def make_peace(self):
        """No fault from now on."""
        self.continue_stopped(everything=True)
        for engine in self.chaos.engines.values():
            write_whole(engine.folder / "options", "")


def write_whole(path, text):
    """Nobody reads the half of it."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text)
    os.replace(fresh, path)
