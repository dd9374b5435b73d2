#pragma once
// The script of one fake engine: everything that its command line can ask for. Plain data; read
// once in main(), then shared read-only by all threads. Unknown options are ignored with their
// value, so that a command line meant for llama-server starts a fake engine too.

#include <chrono>
#include <string>
#include <vector>

namespace fake {

using Milliseconds = std::chrono::milliseconds;

struct Options {
    // Where it listens, what it calls itself.
    std::string host = "127.0.0.1";  ///< --host; a name ending in .sock is a Unix socket
    int port = 0;                    ///< --port
    std::string socket;              ///< --socket PATH
    bool no_unlink = false;          ///< --no-unlink: cannot listen where a socket lies already
    std::string model = "fake";      ///< --model, --alias: echoed in answers
    std::string pid_file;            ///< --pid-file: its pid and those of its grandchildren, a line
    std::string record;              ///< --record: request bytes as received, probes left out
    std::string events;              ///< --events: one line for each thing that happened
    std::string exclusive;     ///< --exclusive FILE: locked while it lives; "overlap" if taken
    std::string options_from;  ///< --options-from FILE: more words, read at each start

    // Starting.
    Milliseconds load{0};          ///< --load: /health answers 503 so long
    std::string load_until;        ///< --load-until FILE: /health answers 503 until FILE exists
    Milliseconds listen_late{0};   ///< --listen-late
    bool never_listen = false;     ///< --never-listen
    bool accept_and_hang = false;  ///< --accept-and-hang: /health is not answered either
    int health_status = 200;       ///< --health-status, once loaded
    int die_at_start = -1;         ///< --die-at-start CODE
    std::string stderr_text;       ///< --stderr TEXT, printed at start ("\n" is a new line)
    std::string stdout_text;       ///< --stdout TEXT
    std::string die_once;          ///< --die-once FILE: --die-at-start only until FILE exists
    bool fork_grandchild = false;  ///< --fork-grandchild: outlives its parent
    bool double_fork = false;      ///< --double-fork: its grandchild's parent ends at once
    bool regroup_grandchild =
        false;  ///< --regroup-grandchild: in a group of its own, SIGTERM ignored
    bool setsid_grandchild = false;  ///< --setsid-grandchild: leaves session, ignores SIGTERM
    bool ignore_term = false;        ///< --ignore-term
    Milliseconds term_delay{0};      ///< --term-delay: ends so long after SIGTERM
    bool stdout_flood = false;       ///< --stdout-flood: lines as fast as it can, for `flood_for`
    bool stderr_flood = false;       ///< --stderr-flood: the same on standard error only
    bool endless_line = false;       ///< --endless-line: the same without a line end
    bool binary_output = false;      ///< --binary-output: NUL bytes, invalid UTF-8, escapes
    Milliseconds flood_for{1000};    ///< --flood-for
    std::string eat_memory;          ///< --eat-memory SIZE (512M): resident, in steps of 4 MiB
    bool close_pipes = false;        ///< --close-pipes: stdin, stdout and stderr
    bool close_all = false;          ///< --close-all: every descriptor that it was given

    // Answering.
    int tokens = 5;                  ///< --tokens
    Milliseconds interval{0};        ///< --interval between tokens
    std::string gate;                ///< --gate FIFO: each token or whole answer costs one byte
    int status = 200;                ///< --status of inference answers
    bool echo = false;               ///< --echo: inference answers are the request as JSON
    bool no_content_length = false;  ///< --no-content-length: the body ends with the connection
    bool close_after = false;        ///< --close-after: closes after each answer, not saying so
    bool early_400 = false;          ///< --early-400: answers before it has read the body
    bool cut_mid_chunk = false;      ///< --cut-mid-chunk: closes inside the second chunk
    bool huge_header = false;        ///< --huge-header: one response field of 256 KiB
    bool garbage = false;            ///< --garbage: answers what is not HTTP
    bool garbage_probe = false;      ///< --garbage-probe: to GET /health, too
    bool obey = false;               ///< --obey: does what a request's body says, see answers.cpp
    std::string raw_response;        ///< --raw-response FILE: inference answers are these bytes
    bool upgrade = false;            ///< --upgrade: takes any Upgrade and echoes what comes then
    bool linger = false;             ///< --linger: keeps the connection open after those bytes

    // Dying.
    int signal = 0;               ///< --signal N: die by it, not by exit
    int exit_code = 1;            ///< --exit-code
    Milliseconds die_after{-1};   ///< --die-after
    bool die_on_request = false;  ///< --die-on-request: before any answer byte
    bool die_mid_stream = false;  ///< --die-mid-stream: after half of the tokens
};

/// Reads the words after the program name.
[[nodiscard]] Options parse_options(const std::vector<std::string>& words);

/// "300ms", "2s" or "300" (milliseconds).
[[nodiscard]] Milliseconds parse_duration(const std::string& text);

/// Bytes: "4096", "64K", "512M", "2G".
[[nodiscard]] std::size_t parse_size(const std::string& text);

}  // namespace fake
