#pragma once
// The configuration as plain data, after macros were expanded and defaults filled in: the whole
// file here, models in model_config.hpp, what joins and chooses them in routing_config.hpp. Loading
// it from YAML is core/config_load.hpp; nothing here reads files, clocks or the environment. A
// loaded Config is never changed: rooms share it as std::shared_ptr<const Config>. Any thread.

#include "core/discovery_config.hpp"
#include "core/ids.hpp"
#include "core/model_config.hpp"
#include "core/routing_config.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corral {

/// Every limit and time-out of the program, in one place (`limits:` in the file).
struct Limits {
    std::size_t head_bytes_max = 32 * 1024;          ///< a request's or response's head
    std::size_t head_line_bytes_max = 16 * 1024;     ///< one line of it
    std::size_t head_fields_max = 100;               ///< header fields in it
    std::size_t body_buffered = 64ULL << 20;         ///< held of one body until the model is known
    std::size_t body_buffered_total = 512ULL << 20;  ///< the same over all requests
    std::size_t connections = 10'000;                ///< client connections at once
    /// Of them from one address; 0: no limit. nullopt: of other machines, as many as is usual.
    std::optional<std::size_t> connections_per_peer;
    std::size_t waiting_per_model = 1'000;                ///< requests waiting for one model
    std::chrono::milliseconds head_timeout{10'000};       ///< first byte of a head to its end
    std::chrono::milliseconds body_idle_timeout{10'000};  ///< between two bytes of a request body
    std::size_t body_rate_min = 1'000;  ///< bytes a second of a request body; 0: no limit
    std::chrono::milliseconds body_rate_after{30'000};     ///< once it was waited for so long
    std::chrono::milliseconds keep_alive_timeout{75'000};  ///< idle between two requests
    std::chrono::milliseconds write_timeout{60'000};       ///< a client that takes no byte so long
    std::chrono::milliseconds queue_timeout{3'600'000};    ///< waiting for a model to be ready
    std::chrono::milliseconds max_wait{30'000};            ///< being overtaken by other models
    std::chrono::milliseconds connect_timeout{30'000};     ///< to an upstream
    /// From a request's end to the head of its answer, where the upstream's own
    /// `timeouts.responseHeader` is 0; 0: no limit.
    std::chrono::milliseconds response_header_timeout{0};
    std::chrono::milliseconds probe_timeout{2'000};    ///< one readiness probe
    std::chrono::milliseconds shutdown_grace{30'000};  ///< drain time at SIGTERM

    friend bool operator==(const Limits&, const Limits&) = default;
};

enum class LogLevel : std::uint8_t { debug, info, warn, error };

/// What becomes of a request that offers HTTP/2 by `Upgrade: h2c` (RFC 7540 §3.2).
enum class H2cUpgrade : std::uint8_t {
    refuse,  ///< 501, whatever else it offers
    ignore,  ///< the offer is left out, the request is served with HTTP/1.1
};

/// Which output reaches Corral's standard output (and GET /logs).
enum class LogToStdout : std::uint8_t { proxy, upstream, both, none };

/// `logs:`, Corral's own block: where output goes beside standard output.
struct LogsConfig {
    std::string directory;                    ///< a file for each model; empty: none
    std::size_t file_bytes_max = 10U << 20U;  ///< a larger one is moved on
    std::size_t files_max = 5;                ///< of each, the one that grows included
    bool journal = false;                     ///< the models' lines, with MODEL= fields

    friend bool operator==(const LogsConfig&, const LogsConfig&) = default;
};

/// Files in PEM form; both are set or both are empty.
struct TlsFiles {
    std::string certificate;
    std::string key;
    friend bool operator==(const TlsFiles&, const TlsFiles&) = default;
};

struct Config {
    std::string origin;  ///< the file it came from, for messages; may be empty
    LogLevel log_level = LogLevel::info;
    std::string log_time_format;  ///< a name of llama-swap's, lower case; empty: no time
    LogToStdout log_to_stdout = LogToStdout::proxy;
    LogsConfig logs;
    std::uint16_t start_port = 5800;
    std::vector<std::string> listen;  ///< addresses, as parse_listen_address() takes them
    TlsFiles tls;                     ///< for clients
    bool include_aliases_in_list = false;
    std::vector<std::string> api_keys;
    std::vector<std::string> allowed_hosts;    ///< as read_host_pattern() gives them
    std::vector<std::string> allowed_origins;  ///< as read_origin_pattern() gives them
    std::vector<std::string> trusted_proxies;  ///< `unix`, or what parse_ip_range() takes
    H2cUpgrade h2c_upgrade = H2cUpgrade::refuse;
    std::vector<std::string> preload;       ///< hooks.on_startup.preload, aliases resolved
    std::vector<std::string> ignore_paths;  ///< upstream.ignorePaths, valid RE2; never empty

    std::vector<ModelConfig> models;  ///< sorted by id
    RouterKind router = RouterKind::group;
    std::vector<GroupConfig> groups;  ///< as written, then "(default)" with the models in no group
    MatrixConfig matrix;              ///< meant when `router` is matrix
    std::vector<ProfileConfig> profiles;    ///< sorted by name
    std::vector<SelectorConfig> selectors;  ///< sorted by id
    std::vector<PeerConfig> peers;          ///< sorted by id

    std::size_t capture_bytes_max = 5U << 20U;  ///< captureBuffer, in bytes; 0: no captures
    std::size_t activity_rows_max = 1000;       ///< metricsMaxInMemory
    std::string store_path;                     ///< of the activity's database; empty: memory only
    bool performance_disabled = false;
    std::chrono::milliseconds performance_every{5'000};
    std::vector<std::string> session_id_fields{"X-Session-ID", "X-Litellm-Session-Id"};
    Limits limits;
    DiscoveryConfig discovery;

    /// The model with this id or alias, or nullptr. An id wins over an alias of the same name.
    [[nodiscard]] const ModelConfig* find(std::string_view name) const noexcept;
    /// The model with exactly this id, or nullptr.
    [[nodiscard]] const ModelConfig* find_id(const ModelId& id) const noexcept;
    /// The selector with this id, or nullptr.
    [[nodiscard]] const SelectorConfig* find_selector(std::string_view id) const noexcept;

    /// A peer and the name that it knows the model by.
    struct PeerModel {
        const PeerConfig* peer = nullptr;
        std::string_view model;
    };
    /// The peer's model with this name: `peer/model`, or `model` when only one peer has it. No
    /// peer: there is none.
    [[nodiscard]] PeerModel find_peer_model(std::string_view name) const noexcept;

    friend bool operator==(const Config&, const Config&) = default;
};

/// Replaces every `${name}` in text by value; other macros stay. Used for ${PORT} and ${PID}.
[[nodiscard]] std::string replace_macro(std::string_view text, std::string_view name,
                                        std::string_view value);

}  // namespace corral
