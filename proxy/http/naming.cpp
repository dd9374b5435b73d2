#include "proxy/http/naming.hpp"

#include "proxy/http/error_body.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace corral::http {
namespace {

const ProfilePin* find_pin(const ProfileConfig* profile, std::string_view name) noexcept {
    if (profile == nullptr) {
        return nullptr;
    }
    const auto at = std::find_if(profile->pins.begin(), profile->pins.end(),
                                 [&](const ProfilePin& pin) { return pin.name == name; });
    return at != profile->pins.end() ? &*at : nullptr;
}

/// A model of ours, else a peer's.
std::optional<Destination> find_named(std::string_view name, const Config& config) {
    Destination out;
    out.name = out.sent_name = name;
    out.model = config.find(name);
    if (out.model != nullptr) {
        return out;
    }
    const auto [peer, model] = config.find_peer_model(name);
    if (peer == nullptr) {
        return std::nullopt;
    }
    out.peer = peer;
    out.sent_name = model;
    return out;
}

}  // namespace

Error unknown_model(std::string_view name, const Config& config) {
    // llama-swap's words first: its users' scripts look for them.
    std::string detail = "no router for requested model \"" + safe_text(name, 256) + "\"";
    detail += config.models.empty() && config.peers.empty()
                  ? ": no model is configured"
                  : ": GET /v1/models lists what there is";
    return {Errc::model_not_found, Blame::client, std::move(detail)};
}

Result<Destination> find_destination(std::string_view name, const Directory& in) {
    if (const ProfilePin* pin = find_pin(in.profile, name)) {
        if (pin->target.empty()) {
            return Error(Errc::model_missing, Blame::client,
                         "no model id could be identified: profile \"" + in.profile->name +
                             "\" pins \"" + safe_text(name, 256) + "\" to no model");
        }
        name = pin->target;
    }
    const SelectorConfig* selector = in.config.find_selector(name);
    if (selector != nullptr) {
        auto chosen = api::choose_target(*selector, in.config, in.state_of, in.loads);
        if (!chosen) {
            return std::move(chosen).error();
        }
        name = *chosen;
    }
    auto found = find_named(name, in.config);
    if (!found) {
        return unknown_model(name, in.config);
    }
    found->selector = selector;
    return *std::move(found);
}

Result<UpstreamDestination> find_upstream_destination(const Target& target, const Config& config,
                                                      const ProfileConfig* profile) {
    std::string_view name;
    std::optional<UpstreamTarget> split;
    if (profile != nullptr) {
        const IsModel is_pin = [&](std::string_view each) {
            return find_pin(profile, each) != nullptr;
        };
        if (auto pinned = split_upstream(target, is_pin)) {
            name = find_pin(profile, pinned->model)->target;
            split = std::move(*pinned);
        }
    }
    if (!split) {
        const IsModel is_model = [&](std::string_view each) {
            return config.find(each) != nullptr || config.find_peer_model(each).peer != nullptr;
        };
        auto named = split_upstream(target, is_model);
        if (!named) {
            return std::move(named).error();
        }
        split = std::move(*named);
        name = split->model;
    }
    auto found = name.empty() ? std::nullopt : find_named(name, config);
    if (!found) {
        return Error(Errc::model_not_found, Blame::client,
                     "model not found: \"" + safe_text(split->model, 256) +
                         "\" is no model of this profile");
    }
    return UpstreamDestination{*std::move(found), *std::move(split)};
}

}  // namespace corral::http
