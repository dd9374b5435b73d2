#include "core/config_dump.hpp"

#include "core/command_line.hpp"
#include "core/quantity.hpp"
#include "core/secrets.hpp"
#include "core/yaml_writer.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <string_view>
#include <utility>
#include <vector>

namespace corral {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view port_macro = "${PORT}";

template <class Enum, std::size_t N>
std::string_view name_of(Enum value, const std::array<std::string_view, N>& names) {
    return names.at(static_cast<std::size_t>(value));
}

std::string joined(const std::vector<std::string>& list, std::string_view between) {
    std::string out;
    for (const std::string& item : list) {
        out += out.empty() ? "" : between;
        out += item;
    }
    return out;
}

/// A value that is kept as JSON text.
Json parsed(const std::string& text) {
    Json value = Json::parse(text, nullptr, false);
    return value.is_discarded() ? Json(text) : value;
}

Json object_of(const std::string& text) {
    return text.empty() ? Json::object() : parsed(text);
}

Json settings(const std::vector<ParamSetting>& list) {
    Json out = Json::object();
    for (const ParamSetting& setting : list) {
        out[setting.path] = parsed(setting.json);
    }
    return out;
}

Json filters(const Filters& filters) {
    Json by_id = Json::object();
    for (const ParamsOfId& params : filters.set_params_by_id) {
        by_id[params.id] = settings(params.settings);
    }
    Json out;
    out["stripParams"] = joined(filters.strip_params, ", ");
    out["setParams"] = settings(filters.set_params);
    out["setParamsByID"] = std::move(by_id);
    return out;
}

Json timeouts(const UpstreamTimeouts& timeouts) {
    Json out;
    out["connect"] = timeouts.connect.count();
    out["keepalive"] = timeouts.keepalive.count();
    out["responseHeader"] = timeouts.response_header.count();
    out["tlsHandshake"] = timeouts.tls_handshake.count();
    out["expectContinue"] = timeouts.expect_continue.count();
    out["idleConn"] = timeouts.idle_conn.count();
    return out;
}

Json model_limits(const ModelLimits& limits) {
    Json out = Json::object();
    if (limits.memory != 0) {
        out["memory"] = limits.memory;
    }
    const auto add = [&out](const char* name, const auto& value) {
        if (value) {
            out[name] = *value;
        }
    };
    add("nice", limits.nice);
    add("oomScoreAdj", limits.oom_score_adj);
    add("threads", limits.threads);
    add("gpuLayers", limits.gpu_layers);
    return out;
}

Json capabilities(const Capabilities& capabilities) {
    Json out;
    out["in"] = capabilities.in;
    out["out"] = capabilities.out;
    out["tools"] = capabilities.tools;
    out["reranker"] = capabilities.reranker;
    out["context"] = capabilities.context;
    return out;
}

std::string command_text(const std::vector<std::string>& words) {
    std::vector<std::string> quoted;
    for (const std::string& word : words) {
        quoted.push_back(quote_word(word));
    }
    return masked_command(joined(quoted, " "));
}

Json hooks(const ModelHooks& hooks) {
    Json out;
    out["afterReady"] = command_text(hooks.after_ready);
    out["beforeStop"] = command_text(hooks.before_stop);
    out["afterStop"] = command_text(hooks.after_stop);
    out["timeout"] = format_duration(hooks.timeout);
    return out;
}

/// How a model is run. `cmd` and `proxy` are left out where writing them would say something else
/// than their absence: a model without a command, and the default address that it cannot have.
void run_keys(const ModelConfig& model, Json& out) {
    if (!model.cmd.empty()) {
        out["cmd"] = masked_command(model.cmd);
    }
    out["cmdStop"] = command_text(model.cmd_stop);
    const bool has_port = model.cmd.find(port_macro) != std::string::npos;
    if (has_port || model.proxy.find(port_macro) == std::string::npos) {
        out["proxy"] = masked_url(model.proxy);
    }
    out["checkEndpoint"] = model.check_endpoint;
    out["env"] = Json::array();
    for (const std::string& assignment : model.env) {
        out["env"].push_back(masked_assignment(assignment));
    }
}

Json model(const ModelConfig& model) {
    Json out;
    out["name"] = model.name;
    out["description"] = model.description;
    run_keys(model, out);
    out["aliases"] = model.aliases;
    out["useModelName"] = model.use_model_name;
    out["unlisted"] = model.unlisted;
    out["ttl"] = model.ttl.count();
    out["healthCheckTimeout"] = model.health_check_timeout.count();
    out["startStallTimeout"] = format_duration(model.start_stall_timeout);
    out["unloadTimeout"] = model.unload_timeout.count();
    out["cmdStopTimeout"] = format_duration(model.cmd_stop_timeout);
    out["keepAlive"] = model.keep_alive ? "always" : "onDemand";
    out["hooks"] = hooks(model.hooks);
    out["concurrencyLimit"] = model.concurrency_limit;
    out["sendLoadingState"] = model.send_loading_state;
    if (model.loading_keep_alive > std::chrono::milliseconds::zero()) {
        out["loadingKeepAlive"] = format_duration(model.loading_keep_alive);
    } else {
        out["loadingKeepAlive"] = false;
    }
    out["filters"] = filters(model.filters);
    out["timeouts"] = timeouts(model.timeouts);
    if (const Json limits = model_limits(model.limits); !limits.empty()) {
        out["limits"] = limits;
    }
    out["compat"]["ignoreWebsockets"] = model.ignore_websockets;
    out["capabilities"] = capabilities(model.capabilities);
    out["metadata"] = object_of(model.metadata);
    return out;
}

Json groups(const Config& config) {
    Json out = Json::object();
    for (const GroupConfig& group : config.groups) {
        if (group.id == "(default)") {
            continue;  // made of what is in no other group; llama-swap overwrites what is written
        }
        Json& into = out[group.id];
        into["swap"] = group.swap;
        into["exclusive"] = group.exclusive;
        into["persistent"] = group.persistent;
        into["members"] = Json::array();
        for (const ModelId& member : group.members) {
            into["members"].push_back(member.str());
        }
    }
    return out;
}

Json matrix(const MatrixConfig& matrix) {
    Json out;
    out["vars"] = Json::object();
    for (const MatrixVar& var : matrix.vars) {
        out["vars"][var.name] = var.model.str();
    }
    out["evict_costs"] = Json::object();
    for (const EvictCost& cost : matrix.evict_costs) {
        out["evict_costs"][cost.model.str()] = cost.cost;
    }
    out["sets"] = Json::object();
    for (const MatrixSet& set : matrix.sets) {
        out["sets"][set.name] = set.expression;
    }
    return out;
}

Json routing(const Config& config) {
    Json out;
    Json& router = out["router"];
    router["use"] = config.router == RouterKind::matrix ? "matrix" : "group";
    router["settings"]["groups"] = groups(config);
    if (!config.matrix.sets.empty()) {
        router["settings"]["matrix"] = matrix(config.matrix);
    }
    out["scheduler"]["use"] = "fifo";
    Json& priority = out["scheduler"]["settings"]["fifo"]["priority"];
    priority = Json::object();
    for (const ModelConfig& model : config.models) {
        if (model.priority != 0) {
            priority[model.id.str()] = model.priority;
        }
    }
    return out;
}

Json profiles(const Config& config) {
    Json out = Json::object();
    for (const ProfileConfig& profile : config.profiles) {
        Json& into = out[profile.name];
        into["description"] = profile.description;
        into["pins"] = Json::object();
        for (const ProfilePin& pin : profile.pins) {
            into["pins"][pin.name] = pin.target;
        }
    }
    return out;
}

Json selectors(const Config& config) {
    constexpr std::array<std::string_view, 3> strategies{"warm", "pin", "spillover"};
    Json out = Json::object();
    for (const SelectorConfig& selector : config.selectors) {
        Json& into = out[selector.id];
        into["strategy"] = name_of(selector.strategy, strategies);
        into["targets"] = selector.targets;
        into["settings"]["spillover"] = selector.spillover;
        into["name"] = selector.name;
        into["description"] = selector.description;
        into["unlisted"] = selector.unlisted;
        into["metadata"] = object_of(selector.metadata);
    }
    return out;
}

Json peers(const Config& config) {
    Json out = Json::object();
    for (const PeerConfig& peer : config.peers) {
        Json& into = out[peer.id];
        into["proxy"] = masked_url(peer.proxy);
        into["apiKey"] = peer.api_key.empty() ? "" : redacted;
        into["models"] = peer.models;
        into["filters"] = filters(peer.filters);
        into["timeouts"] = timeouts(peer.timeouts);
    }
    return out;
}

Json limits(const Limits& limits) {
    Json out;
    out["headBytesMax"] = limits.head_bytes_max;
    out["headLineBytesMax"] = limits.head_line_bytes_max;
    out["headFieldsMax"] = limits.head_fields_max;
    out["bodyBuffered"] = limits.body_buffered;
    out["bodyBufferedTotal"] = limits.body_buffered_total;
    out["connections"] = limits.connections;
    if (limits.connections_per_peer) {
        out["connectionsPerPeer"] = *limits.connections_per_peer;
    }
    out["waitingPerModel"] = limits.waiting_per_model;
    out["headTimeout"] = format_duration(limits.head_timeout);
    out["bodyIdleTimeout"] = format_duration(limits.body_idle_timeout);
    out["bodyRateMin"] = limits.body_rate_min;
    out["bodyRateAfter"] = format_duration(limits.body_rate_after);
    out["keepAliveTimeout"] = format_duration(limits.keep_alive_timeout);
    out["writeTimeout"] = format_duration(limits.write_timeout);
    out["queueTimeout"] = format_duration(limits.queue_timeout);
    out["maxWait"] = format_duration(limits.max_wait);
    out["connectTimeout"] = format_duration(limits.connect_timeout);
    out["responseHeaderTimeout"] = format_duration(limits.response_header_timeout);
    out["probeTimeout"] = format_duration(limits.probe_timeout);
    out["shutdownGrace"] = format_duration(limits.shutdown_grace);
    return out;
}

/// By pattern; what is not said is left out, so that it says the same when it is read again.
Json overrides(const std::vector<DiscoveryOverride>& list) {
    Json out = Json::object();
    for (const DiscoveryOverride& override_of : list) {
        Json& into = out[override_of.pattern];
        into["skip"] = override_of.skip;
        if (override_of.ttl) {
            into["ttl"] = override_of.ttl->count();
        }
        if (override_of.context) {
            into["ctx"] = *override_of.context;
        }
        if (override_of.threads) {
            into["threads"] = *override_of.threads;
        }
        if (override_of.gpu_layers) {
            into["gpuLayers"] = *override_of.gpu_layers;
        }
        into["args"] = override_of.arguments;
        into["name"] = override_of.name;
    }
    return out;
}

Json discovery(const DiscoveryConfig& discovery) {
    constexpr std::array<std::string_view, 3> namings{"documented", "metadata", "filename"};
    Json out;
    out["directories"] = discovery.directories;
    out["engine"] = discovery.engine;
    out["ttl"] = discovery.ttl.count();
    out["naming"] = name_of(discovery.naming, namings);
    out["aliases"]["openai"] = discovery.openai_aliases;
    out["aliases"]["rules"] = Json::object();
    for (const AliasRule& rule : discovery.alias_rules) {
        out["aliases"]["rules"][rule.alias] = rule.pattern;
    }
    out["group"] = discovery.exclusive_group ? "exclusive" : "none";
    out["watch"] = discovery.watch;
    out["overrides"] = overrides(discovery.overrides);
    return out;
}

/// What is about the program rather than about models.
void server_keys(const Config& config, Json& out) {
    constexpr std::array<std::string_view, 4> levels{"debug", "info", "warn", "error"};
    constexpr std::array<std::string_view, 4> outputs{"proxy", "upstream", "both", "none"};
    constexpr std::array<std::string_view, 2> h2c_words{"refuse", "ignore"};
    if (!config.listen.empty()) {
        out["listen"] = config.listen;
    }
    if (!config.tls.certificate.empty()) {
        out["tls"]["certFile"] = config.tls.certificate;
        out["tls"]["keyFile"] = config.tls.key;
    }
    out["startPort"] = config.start_port;
    out["logLevel"] = name_of(config.log_level, levels);
    out["logTimeFormat"] = config.log_time_format;
    out["logToStdout"] = name_of(config.log_to_stdout, outputs);
    out["logs"]["directory"] = config.logs.directory;
    out["logs"]["fileBytesMax"] = config.logs.file_bytes_max;
    out["logs"]["filesMax"] = config.logs.files_max;
    out["logs"]["journal"] = config.logs.journal;
    out["includeAliasesInList"] = config.include_aliases_in_list;
    out["apiKeys"] = std::vector<std::string>(config.api_keys.size(), std::string(redacted));
    out["allowedHosts"] = config.allowed_hosts;
    out["allowedOrigins"] = config.allowed_origins;
    out["trustedProxies"] = config.trusted_proxies;
    out["h2cUpgrade"] = name_of(config.h2c_upgrade, h2c_words);
    out["captureBuffer"] = config.capture_bytes_max >> 20U;
    out["metricsMaxInMemory"] = config.activity_rows_max;
    if (!config.store_path.empty()) {
        out["store"]["path"] = config.store_path;
    }
    out["performance"]["disabled"] = config.performance_disabled;
    out["performance"]["every"] = format_duration(config.performance_every);
    out["ui"]["activity"]["session_id"] = config.session_id_fields;
    out["upstream"]["ignorePaths"] = config.ignore_paths;
    out["hooks"]["on_startup"]["preload"] = config.preload;
}

Json document(const Config& config) {
    Json out;
    server_keys(config, out);
    out["limits"] = limits(config.limits);
    out["discovery"] = discovery(config.discovery);
    out["models"] = Json::object();
    auto& models = out["models"].get_ref<Json::object_t&>();
    for (const ModelConfig& entry : config.models) {
        // Not operator[], which looks through all that are there.
        models.emplace_back(entry.id.str(), model(entry));
    }
    out["routing"] = routing(config);
    out["profiles"] = profiles(config);
    out["selectors"] = selectors(config);
    out["peers"] = peers(config);
    return out;
}

}  // namespace

std::string dump_config_json(const Config& config) {
    constexpr std::string_view macro = "${env.";
    std::string text = document(config).dump(2, ' ', false, Json::error_handler_t::replace);
    // JSON is YAML, too, and whoever loads it would look for a variable.
    for (auto at = text.find(macro); at != std::string::npos; at = text.find(macro, at)) {
        text.replace(at, 1, "\\u0024");
    }
    return text += '\n';
}

std::string dump_config_yaml(const Config& config) {
    return to_yaml(document(config));
}

}  // namespace corral
