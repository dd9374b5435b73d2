// One model: its command, address, names and times. What depends on other models (aliases, ports)
// is in read_models.cpp; filters, time-outs, capabilities and metadata have readers of their own.
#include "core/command_line.hpp"
#include "core/endpoint.hpp"
#include "core/load/loading.hpp"
#include "core/load/proxy_url.hpp"
#include "core/quantity.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace corral::load {
namespace {

constexpr std::string_view port_macro = "${PORT}";

bool holds_null_byte(std::string_view text) {
    return text.find('\0') != std::string_view::npos;
}

/// Reads one model's mapping into a ModelConfig.
class ModelReader {
public:
    ModelReader(Loading& loading, const Node& node, Reader& reader, const std::string& id)
        : loading_(loading), node_(node), reader_(reader) {
        model_.id = ModelId(id);
    }

    ModelConfig read() {
        loading_.keys.mapping(node_, model_keys(), reader_, "");
        read_cmd();
        const bool has_port = model_.cmd.find(port_macro) != std::string::npos;
        reader_.allow_port(has_port);
        read_cmd_stop();
        read_hooks();
        read_proxy(has_port);
        read_check_endpoint();
        read_env();
        if (has_port) {
            model_.port = take_port(loading_, node_.mark);
            reader_.fill_port(model_.port);  // what was read so far is expanded at each start
        }
        read_names();
        read_flags();
        read_times();
        read_concurrency_limit();
        read_parts();
        read_aliases();
        return std::move(model_);
    }

private:
    [[nodiscard]] std::string place(std::string_view path) const { return reader_.place(path); }

    /// The words of a command, or nothing after a report. A mistake in it is a warning, because
    /// llama-swap finds it only when it starts the model.
    std::optional<std::vector<std::string>> split(const std::string& text, const Node& node,
                                                  std::string_view path) {
        if (loading_.command_words_spent) {
            return std::nullopt;  // the file is refused already
        }
        auto words = split_command_line(text);
        std::string mistake;
        if (!words) {
            mistake = words.error().detail;
        } else if (std::any_of(words->begin(), words->end(), holds_null_byte)) {
            mistake = "a word holds a NUL byte";
        } else if (words->size() > loading_.command_words_left) {
            loading_.command_words_spent = true;
            loading_.report.error(node.mark, place(path) + ": too many words in all commands");
            return std::nullopt;
        } else {
            loading_.command_words_left -= words->size();
            return std::move(*words);
        }
        loading_.report.warn(node.mark, place(path) + " cannot be used: " + mistake);
        return std::nullopt;
    }

    void read_cmd() {
        const Node* node = node_.find("cmd");
        if (node == nullptr || node->is_null()) {
            loading_.report.warn(node_.mark, "model " + model_.id.str() + " has no cmd",
                                 "it is listed, but it cannot be started");
            return;
        }
        auto text = reader_.command(*node, "cmd");
        if (!text) {
            return;
        }
        model_.cmd = std::move(*text);
        auto words = split(model_.cmd, *node, "cmd");
        if (words && words->empty()) {
            loading_.report.warn(node->mark, place("cmd") + " is empty",
                                 "the model is listed, but it cannot be started");
        }
        model_.argv = std::move(words).value_or(std::vector<std::string>());
    }

    void read_cmd_stop() {
        const Node* node = node_.find("cmdStop");
        if (node == nullptr) {
            return;
        }
        if (const auto text = reader_.command(*node, "cmdStop")) {
            model_.cmd_stop = split(*text, *node, "cmdStop").value_or(std::vector<std::string>());
        }
    }

    /// What is not there, or cannot be used, stays as it is.
    void read_span(const Node* node, std::string_view path, const Key& key,
                   std::chrono::milliseconds& into) {
        if (node == nullptr || node->is_null()) {
            return;
        }
        if (!node->is_scalar()) {
            reader_.type_error(*node, path, "a duration");
            return;
        }
        const auto value = reader_.scalar(*node, path);
        if (!value) {
            return;
        }
        const auto duration = to_duration(*value);
        if (!duration) {
            loading_.report.error(node->mark, place(path) + ": " + duration.error().detail);
            return;
        }
        const std::chrono::milliseconds least(key.traits.least);
        const std::chrono::milliseconds most(key.traits.most);
        if (*duration < least || *duration > most) {
            loading_.report.error(
                node->mark, place(path) + " is out of range: " + format_duration(*duration),
                "from " + format_duration(least) + " to " + format_duration(most));
            return;
        }
        into = *duration;
    }

    void read_hooks() {
        const Node* hooks = node_.find("hooks");
        if (hooks == nullptr || !hooks->is_map()) {
            return;
        }
        const auto command = [&](std::string_view key, std::vector<std::string>& into) {
            const Node* node = hooks->find(key);
            const std::string path = "hooks." + std::string(key);
            if (const auto text = node != nullptr ? reader_.command(*node, path) : std::nullopt) {
                into = split(*text, *node, path).value_or(std::vector<std::string>());
            }
        };
        command("afterReady", model_.hooks.after_ready);
        command("beforeStop", model_.hooks.before_stop);
        command("afterStop", model_.hooks.after_stop);
        read_span(hooks->find("timeout"), "hooks.timeout",
                  *find_key(find_key(model_keys(), "hooks")->members(), "timeout"),
                  model_.hooks.timeout);
    }

    void read_keep_alive() {
        const Node* node = node_.find("keepAlive");
        const auto text = node != nullptr ? reader_.text(*node, "keepAlive") : std::nullopt;
        if (!text) {
            return;
        }
        model_.keep_alive = *text == "always";
        if (!model_.keep_alive && *text != "onDemand") {
            loading_.report.warn(node->mark,
                                 place("keepAlive") + " \"" + *text + "\": onDemand is used",
                                 "one of onDemand, always");
        }
    }

    void read_proxy(bool cmd_has_port) {
        const Node* node = node_.find("proxy");
        const auto text = node != nullptr ? reader_.text(*node, "proxy") : std::nullopt;
        const Mark mark = node != nullptr ? node->mark : node_.mark;
        if (text) {
            model_.proxy = *text;
        }
        const bool uses_port = model_.proxy.find(port_macro) != std::string::npos;
        if (uses_port && !cmd_has_port) {
            if (text || !model_.cmd.empty()) {
                loading_.report.error(
                    mark,
                    "model " + model_.id.str() +
                        ": proxy uses ${PORT} but cmd does not - ${PORT} is only available when "
                        "used in cmd",
                    "put ${PORT} into cmd, or the address where the model listens into proxy");
            }
            return;
        }
        check_proxy(replace_macro(model_.proxy, "PORT", "5800"), mark);
    }

    void check_proxy(const std::string& url, Mark mark) {
        const auto endpoint = parse_endpoint(url);
        const std::string prefix = "model " + model_.id.str() + ": ";
        if (!endpoint) {
            if (const auto refusal = url_refusal(url); !refusal.empty()) {
                loading_.report.error(mark, prefix + "invalid proxy URL: " + refusal,
                                      endpoint.error().detail);
            } else if (url.starts_with("unix:")) {  // Corral's own: no file of llama-swap has it
                loading_.report.error(mark, prefix + endpoint.error().detail);
            } else {
                loading_.report.warn(mark, prefix + endpoint.error().detail,
                                     "requests for this model will fail");
            }
        }
    }

    void read_check_endpoint() {
        const Node* node = node_.find("checkEndpoint");
        const auto text = node != nullptr ? reader_.text(*node, "checkEndpoint") : std::nullopt;
        if (!text) {
            return;
        }
        const bool clean = std::all_of(text->begin(), text->end(), [](char c) {
            return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7f;
        });
        if (!clean) {
            loading_.report.warn(node->mark, place("checkEndpoint") +
                                                 " holds a character that a URL cannot hold: " +
                                                 model_.check_endpoint + " is used");
        } else {
            model_.check_endpoint = *text == "none" || text->starts_with('/') ? *text : "/" + *text;
        }
    }

    void read_names() {
        const auto text = [&](std::string_view key, std::string& into) {
            const Node* node = node_.find(key);
            if (auto value = node != nullptr ? reader_.text(*node, key) : std::nullopt) {
                into = std::move(*value);
            }
        };
        text("name", model_.name);
        text("description", model_.description);
        text("useModelName", model_.use_model_name);
    }

    void read_flags() {
        if (const Node* node = node_.find("unlisted")) {
            model_.unlisted = reader_.boolean(*node, "unlisted").value_or(false);
        }
        const Node* state = node_.find("sendLoadingState");
        model_.send_loading_state =
            (state != nullptr ? reader_.boolean(*state, "sendLoadingState") : std::nullopt)
                .value_or(loading_.send_loading_state);
        constexpr std::string_view keep_alive = "loadingKeepAlive";
        const Node* interval = node_.find(keep_alive);
        model_.loading_keep_alive =
            (interval != nullptr
                 ? read_interval(reader_, *interval, *find_key(model_keys(), keep_alive))
                 : std::nullopt)
                .value_or(loading_.loading_keep_alive);
        if (const Node* node = node_at(node_, {"compat", "ignoreWebsockets"})) {
            model_.ignore_websockets =
                reader_.boolean(*node, "compat.ignoreWebsockets").value_or(false);
        }
    }

    void read_env() {
        const Node* node = node_.find("env");
        if (node == nullptr) {
            return;
        }
        for (const Node* item : node->items) {
            loading_.report.hide_line(item->mark);
        }
        const auto list = reader_.texts(*node, "env");
        for (std::size_t i = 0; list && i < list->size(); ++i) {
            const auto& [text, mark] = (*list)[i];
            const auto equals = text.find('=');
            if (equals == std::string::npos || equals == 0 || holds_null_byte(text)) {
                loading_.report.warn(mark, place("env[" + std::to_string(i) + "]") +
                                               " is not NAME=value: it is ignored");
            } else {
                model_.env.push_back(text);
            }
        }
    }

    std::optional<std::int64_t> number(std::string_view key, const Node*& node) {
        node = node_.find(key);
        return node != nullptr ? reader_.integer(*node, key) : std::nullopt;
    }

    void read_times() {
        const Node* node = nullptr;
        const std::string prefix = "model " + model_.id.str() + ": ";
        model_.ttl = loading_.global_ttl;
        if (const auto ttl = number("ttl", node); ttl && *ttl < -1) {
            loading_.report.error(node->mark, prefix + "invalid TTL value " + std::to_string(*ttl),
                                  "seconds, 0 for never, -1 for globalTTL");
        } else if (ttl && *ttl >= 0) {
            model_.ttl = capped_seconds(*ttl, node->mark, place("ttl"), loading_.report);
        }
        model_.unload_timeout = loading_.unload_timeout;
        if (const auto unload = number("unloadTimeout", node); unload && *unload < 0) {
            loading_.report.error(
                node->mark, prefix + "invalid unloadTimeout value " + std::to_string(*unload));
        } else if (unload && *unload > 0) {
            model_.unload_timeout =
                capped_seconds(*unload, node->mark, place("unloadTimeout"), loading_.report);
        }
        model_.health_check_timeout = loading_.health_check_timeout;
        if (const auto health = number("healthCheckTimeout", node); health && *health < 1) {
            loading_.report.warn(node->mark, place("healthCheckTimeout") + " " +
                                                 std::to_string(*health) +
                                                 " is not a time: the global one is used");
        } else if (health) {
            model_.health_check_timeout =
                capped_seconds(*health, node->mark, place("healthCheckTimeout"), loading_.report);
        }
        const auto span = [&](std::string_view key, std::chrono::milliseconds& into) {
            read_span(node_.find(key), key, *find_key(model_keys(), key), into);
        };
        span("startStallTimeout", model_.start_stall_timeout);
        span("cmdStopTimeout", model_.cmd_stop_timeout);
        read_keep_alive();
    }

    void read_concurrency_limit() {
        const Node* node = nullptr;
        const auto limit = number("concurrencyLimit", node);
        if (limit && *limit < 0) {
            loading_.report.warn(node->mark,
                                 place("concurrencyLimit") + " is negative: the default is used");
        } else if (limit) {
            constexpr std::int64_t most = std::numeric_limits<std::uint32_t>::max();
            model_.concurrency_limit = static_cast<std::uint32_t>(std::min(*limit, most));
        }
    }

    void read_parts() {
        if (const Node* node = node_.find("filters")) {
            std::vector<PlacedText> ids;
            model_.filters = read_filters(reader_, *node, "filters", ids);
            collect(std::move(ids), loading_.requested_ids);
        }
        if (const Node* node = node_.find("timeouts")) {
            model_.timeouts = read_upstream_timeouts(reader_, *node, "timeouts", {});
        }
        if (const Node* node = node_.find("limits"); node != nullptr && node->is_map()) {
            model_.limits = read_model_limits(reader_, *node, model_.argv);
        }
        if (const Node* node = node_.find("capabilities")) {
            model_.capabilities = read_capabilities(reader_, *node);
        }
        if (const Node* node = node_.find("metadata")) {
            model_.metadata = read_metadata(reader_, *node, "metadata");
        }
    }

    void read_aliases() {
        const Node* node = node_.find("aliases");
        if (auto names = node != nullptr ? reader_.texts(*node, "aliases") : std::nullopt) {
            collect(std::move(*names), loading_.written_aliases);
        }
    }

    /// Whether a name is free is known when all models are read.
    void collect(std::vector<PlacedText> names, std::vector<WrittenName>& into) {
        for (PlacedText& name : names) {
            into.push_back({loading_.config.models.size(), std::move(name)});
        }
    }

    Loading& loading_;
    const Node& node_;
    Reader& reader_;
    ModelConfig model_;
};

/// llama-swap serves its /comfyui pages with the model of this name, and gives it what they need.
void suit_comfyui(ModelConfig& model) {
    constexpr std::uint32_t least = 50;
    if (model.id.str() == "comfyui_auto") {
        model.concurrency_limit = std::max(model.concurrency_limit, least);
        model.ignore_websockets = true;
    }
}

}  // namespace

ModelConfig read_model(Loading& loading, const std::string& id, const Node& node) {
    MacroScope scope(loading.globals, id);
    if (const Node* macros = node.find("macros")) {
        read_macros(*macros, "model " + id + ": ", scope, loading.report);
    }
    Reader reader(loading.report, scope, loading.budget, id);
    ModelConfig model = ModelReader(loading, node, reader, id).read();
    suit_comfyui(model);
    return model;
}

}  // namespace corral::load
