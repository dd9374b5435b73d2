// Models that would listen at the same fixed place: the second of them to start finds it taken, or
// worse, its requests are answered by the first.
#include "core/endpoint.hpp"
#include "core/load/loading.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <unordered_map>
#include <utility>

namespace corral::load {
namespace {

constexpr std::string_view port_macro = "${PORT}";

std::string at_loopback(std::uint16_t port) {
    return "port " + std::to_string(port) + " of this machine";
}

/// Where `proxy` says that the model listens, in one spelling; empty when that is chosen at start.
std::string place_of_proxy(const ModelConfig& model) {
    constexpr std::array<std::string_view, 4> loopback{"localhost", "127.0.0.1", "::1", "0.0.0.0"};
    const auto endpoint = model.proxy.find(port_macro) == std::string::npos
                              ? parse_endpoint(model.proxy)
                              : Result<Endpoint>(Endpoint());
    if (!endpoint || (endpoint->host.empty() && endpoint->unix_path.empty())) {
        return {};
    }
    if (!endpoint->unix_path.empty()) {
        return endpoint->unix_path;
    }
    const bool here = std::find(loopback.begin(), loopback.end(), endpoint->host) != loopback.end();
    return here ? at_loopback(endpoint->port) : endpoint->authority();
}

/// A program that runs its command elsewhere, so that `--port` means a port of that place.
bool runs_elsewhere(std::string_view program) {
    constexpr std::array<std::string_view, 5> names{"docker", "podman", "nerdctl", "ssh", "ip"};
    const auto slash = program.rfind('/');
    program.remove_prefix(slash == std::string_view::npos ? 0 : slash + 1);
    return std::find(names.begin(), names.end(), program) != names.end();
}

/// The number behind `--port` in the command; empty when there is none.
std::string place_of_cmd(const ModelConfig& model) {
    constexpr std::string_view flag = "--port";
    if (model.port != 0 ||
        std::any_of(model.argv.begin(), model.argv.end(),
                    [](const std::string& word) { return runs_elsewhere(word); })) {
        return {};
    }
    for (std::size_t i = 0; i < model.argv.size(); ++i) {
        std::string_view word = model.argv[i];
        if (word == flag && i + 1 < model.argv.size()) {
            word = model.argv[i + 1];
        } else if (word.starts_with(flag) && word.size() > flag.size() &&
                   word[flag.size()] == '=') {
            word.remove_prefix(flag.size() + 1);
        } else {
            continue;
        }
        std::uint16_t port = 0;
        const auto [end, ec] = std::from_chars(word.data(), word.data() + word.size(), port);
        if (ec == std::errc{} && end == word.data() + word.size() && port != 0) {
            return at_loopback(port);
        }
    }
    return {};
}

}  // namespace

void check_fixed_ports(Loading& loading, const Node& models) {
    std::unordered_map<std::string, Mark> marks;
    for (const Entry& entry : models.entries) {
        marks.emplace(entry.key->text, entry.key->mark);
    }
    std::unordered_map<std::string, const ModelConfig*> owners;
    for (const ModelConfig& model : loading.config.models) {
        if (model.cmd.empty()) {
            continue;
        }
        for (const std::string& place : {place_of_proxy(model), place_of_cmd(model)}) {
            if (place.empty()) {
                continue;
            }
            const auto [at, fresh] = owners.emplace(place, &model);
            if (!fresh && at->second != &model && at->second->cmd != model.cmd) {
                loading.report.warn(marks.at(model.id.str()),
                                    "models " + at->second->id.str() + " and " + model.id.str() +
                                        " both listen at " + place,
                                    "they cannot run at the same time; write ${PORT} in cmd and "
                                    "proxy, and each gets a port of its own");
                break;
            }
        }
    }
}

}  // namespace corral::load
