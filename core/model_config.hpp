#pragma once
// One model of the configuration as plain data, and what it shares with peers: filters on request
// bodies, the transport's time-outs. Values are final: macros expanded, defaults filled in. Loading
// is core/config_load.hpp. Any thread.

#include "core/ids.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace corral {

/// A value to be put into a request's JSON body.
struct ParamSetting {
    std::string path;  ///< in gjson's syntax: `a`, `a.b`, `a.0`, `a\.b`
    std::string json;  ///< the value as JSON text, spelled as Go's encoder does

    friend bool operator==(const ParamSetting&, const ParamSetting&) = default;
};

/// Settings that hold for requests that asked for one id only.
struct ParamsOfId {
    std::string id;                      ///< as requested: the model's own id or one of its aliases
    std::vector<ParamSetting> settings;  ///< sorted by path

    friend bool operator==(const ParamsOfId&, const ParamsOfId&) = default;
};

/// Edits of request bodies, applied in the order of the members; `model` is never among them.
struct Filters {
    std::vector<std::string> strip_params;     ///< paths to remove; sorted, each once
    std::vector<ParamSetting> set_params;      ///< sorted by path
    std::vector<ParamsOfId> set_params_by_id;  ///< sorted by id

    [[nodiscard]] bool empty() const noexcept {
        return strip_params.empty() && set_params.empty() && set_params_by_id.empty();
    }
    friend bool operator==(const Filters&, const Filters&) = default;
};

/// llama-swap's `timeouts:` of the connection to an upstream; 0: no limit.
struct UpstreamTimeouts {
    std::chrono::seconds connect{30};
    std::chrono::seconds keepalive{30};       ///< TCP keep-alive period
    std::chrono::seconds response_header{0};  ///< request sent to answer's head; 60 for a peer
    std::chrono::seconds tls_handshake{10};
    std::chrono::seconds expect_continue{1};
    std::chrono::seconds idle_conn{90};  ///< an idle connection is kept so long

    friend bool operator==(const UpstreamTimeouts&, const UpstreamTimeouts&) = default;
};

/// What a model can do, for the model list only.
struct Capabilities {
    std::vector<std::string> in;   ///< modalities: text, audio, image
    std::vector<std::string> out;  ///< likewise
    bool tools = false;
    bool reranker = false;
    std::int64_t context = 0;  ///< tokens; 0: not said

    [[nodiscard]] bool empty() const noexcept {
        return in.empty() && out.empty() && !tools && !reranker && context == 0;
    }
    friend bool operator==(const Capabilities&, const Capabilities&) = default;
};

/// What a model's process may take (`limits:` of a model), and what the generator of commands goes
/// by.
struct ModelLimits {
    std::uint64_t memory = 0;              ///< bytes of RAM of the whole process tree; 0: no limit
    std::optional<int> nice;               ///< -20 to 19
    std::optional<int> oom_score_adj;      ///< -1000 to 1000
    std::optional<std::uint32_t> threads;  ///< for the generator
    std::optional<std::uint32_t> gpu_layers;  ///< for the generator

    friend bool operator==(const ModelLimits&, const ModelLimits&) = default;
};

/// Commands that run beside a model's process, split into words; they may hold ${PORT} and ${PID}.
struct ModelHooks {
    std::vector<std::string> after_ready;       ///< when it is ready; delays nobody
    std::vector<std::string> before_stop;       ///< a ready one is to stop, and waits for it
    std::vector<std::string> after_stop;        ///< when the process has ended, however it did
    std::chrono::milliseconds timeout{10'000};  ///< of each; then it is killed

    friend bool operator==(const ModelHooks&, const ModelHooks&) = default;
};

/// One model: how to start its server, where it listens, how long it may idle.
struct ModelConfig {
    ModelId id;
    std::string name;                   ///< for people; listing only
    std::string description;            ///< for people; listing only
    std::string cmd;                    ///< as written after macro expansion; ${PORT} still in it
    std::vector<std::string> argv;      ///< cmd split into words; ${PORT} still in it; empty: none
    std::vector<std::string> cmd_stop;  ///< split; may hold ${PORT} and ${PID}; empty: SIGTERM
    std::string proxy = "http://localhost:${PORT}";  ///< upstream URL; ${PORT} still in it
    std::uint16_t port = 0;                  ///< preferred port for ${PORT}; 0 when cmd has none
    std::string check_endpoint = "/health";  ///< path that answers 200 when ready; "none": no check
    std::vector<std::string> aliases;        ///< other names that requests may use
    std::vector<std::string> env;            ///< NAME=value, added to Corral's own environment
    std::string use_model_name;              ///< name sent upstream instead; empty: bytes unchanged
    bool unlisted = false;                   ///< usable but not shown by /v1/models
    bool send_loading_state = false;         ///< tells a streaming client that the model loads
    std::chrono::milliseconds loading_keep_alive{0};  ///< between comments meanwhile; 0: none
    bool ignore_websockets = false;  ///< WebSockets neither load it nor keep it loaded
    std::chrono::seconds ttl{0};     ///< idle time before unloading; 0: never
    std::chrono::seconds health_check_timeout{120};    ///< exec to first 200
    std::chrono::seconds unload_timeout{10};           ///< grace between SIGTERM and SIGKILL
    std::chrono::milliseconds cmd_stop_timeout{0};     ///< of cmd_stop; 0: unload_timeout
    std::chrono::milliseconds start_stall_timeout{0};  ///< of a start that does nothing; 0: none
    bool keep_alive = false;  ///< when it ends by itself it is started again at once
    ModelHooks hooks;
    std::uint32_t concurrency_limit = 0;  ///< requests served at once; 0: the default of 10
    std::int64_t priority = 0;            ///< its requests' rank in the queue; higher goes first
    Filters filters;
    UpstreamTimeouts timeouts;
    ModelLimits limits;
    Capabilities capabilities;
    std::string metadata;  ///< a JSON object, shown by the model list; empty: none

    /// How long the commands that come before the end of a ready process may take together; from
    /// then on it has unload_timeout until it is killed.
    [[nodiscard]] std::chrono::milliseconds stop_commands_timeout() const noexcept {
        std::chrono::milliseconds out{0};
        if (!hooks.before_stop.empty()) {
            out += hooks.timeout;
        }
        if (!cmd_stop.empty()) {
            out += cmd_stop_timeout > std::chrono::milliseconds::zero()
                       ? cmd_stop_timeout
                       : std::chrono::milliseconds(unload_timeout);
        }
        return out;
    }

    friend bool operator==(const ModelConfig&, const ModelConfig&) = default;
};

}  // namespace corral
