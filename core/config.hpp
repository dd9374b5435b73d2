#pragma once
// The configuration as plain data, after macros were expanded and defaults filled in. Loading it
// from YAML is core/config_load.hpp; nothing here reads files, clocks or the environment.
// A loaded Config is never changed: rooms share it as std::shared_ptr<const Config>. Any thread.

#include "core/ids.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corral {

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
    std::chrono::seconds ttl{0};             ///< idle time before unloading; 0: never
    std::chrono::seconds health_check_timeout{120};  ///< exec to first 200
    std::chrono::seconds unload_timeout{10};         ///< grace between SIGTERM and SIGKILL
    std::uint32_t concurrency_limit = 0;  ///< requests served at once; 0: the default of 10

    friend bool operator==(const ModelConfig&, const ModelConfig&) = default;
};

/// A llama-swap group: which models share one place (swap), which groups empty others (exclusive).
struct GroupConfig {
    std::string id;
    bool swap = true;         ///< at most one member runs at a time
    bool exclusive = true;    ///< starting a member stops models of other non-persistent groups
    bool persistent = false;  ///< other groups never stop its members
    std::vector<ModelId> members;

    friend bool operator==(const GroupConfig&, const GroupConfig&) = default;
};

/// Every limit and time-out of the program, in one place (`limits:` in the file).
struct Limits {
    std::size_t head_bytes_max = 32 * 1024;          ///< a request's or response's head
    std::size_t head_line_bytes_max = 16 * 1024;     ///< one line of it
    std::size_t head_fields_max = 100;               ///< header fields in it
    std::size_t body_buffered = 64ULL << 20;         ///< held of one body until the model is known
    std::size_t body_buffered_total = 512ULL << 20;  ///< the same over all requests
    std::size_t connections = 10'000;                ///< client connections at once
    std::size_t waiting_per_model = 1'000;           ///< requests waiting for one model
    std::chrono::milliseconds head_timeout{10'000};  ///< first byte of a head to its end
    std::chrono::milliseconds body_idle_timeout{10'000};   ///< between two bytes of a request body
    std::chrono::milliseconds keep_alive_timeout{75'000};  ///< idle between two requests
    std::chrono::milliseconds write_timeout{60'000};       ///< a client that takes no byte so long
    std::chrono::milliseconds queue_timeout{3'600'000};    ///< waiting for a model to be ready
    std::chrono::milliseconds connect_timeout{30'000};     ///< to an upstream
    std::chrono::milliseconds probe_timeout{2'000};        ///< one readiness probe
    std::chrono::milliseconds shutdown_grace{30'000};      ///< drain time at SIGTERM

    friend bool operator==(const Limits&, const Limits&) = default;
};

enum class LogLevel : std::uint8_t { debug, info, warn, error };

struct Config {
    std::string origin;  ///< the file it came from, for messages; may be empty
    LogLevel log_level = LogLevel::info;
    std::uint16_t start_port = 5800;
    bool include_aliases_in_list = false;
    std::vector<std::string> api_keys;
    std::vector<std::string> preload;  ///< hooks.on_startup.preload, aliases resolved
    std::vector<ModelConfig> models;   ///< sorted by id
    std::vector<GroupConfig> groups;   ///< as written, then "(default)" with the models in no group
    Limits limits;

    /// The model with this id or alias, or nullptr. An id wins over an alias of the same name.
    [[nodiscard]] const ModelConfig* find(std::string_view name) const noexcept;
    /// The model with exactly this id, or nullptr.
    [[nodiscard]] const ModelConfig* find_id(const ModelId& id) const noexcept;

    friend bool operator==(const Config&, const Config&) = default;
};

/// Replaces every `${name}` in text by value; other macros stay. Used for ${PORT} and ${PID}.
[[nodiscard]] std::string replace_macro(std::string_view text, std::string_view name,
                                        std::string_view value);

}  // namespace corral
