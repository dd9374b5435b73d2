#include "proxy/api/profiles.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

namespace corral::api {
namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json& document) {
    return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json name_of(const ProfileConfig* profile) {
    return profile != nullptr ? Json(profile->name) : Json(nullptr);
}

const ProfileConfig* find_profile(const Config& config, std::string_view name) noexcept {
    const auto at = std::find_if(config.profiles.begin(), config.profiles.end(),
                                 [&](const ProfileConfig& each) { return each.name == name; });
    return at != config.profiles.end() ? &*at : nullptr;
}

Error refused(std::string_view why) {
    return {Errc::bad_request, Blame::client, std::string(why)};
}

}  // namespace

const ProfileConfig* ActiveProfile::in(const Config& config) const noexcept {
    return name_.empty() ? nullptr : find_profile(config, name_);
}

Result<void> ActiveProfile::choose(const Config& config, std::string_view name) {
    if (!name.empty() && find_profile(config, name) == nullptr) {
        return Error(Errc::not_found, Blame::client,
                     "profile \"" + std::string(name) + "\" not found");
    }
    name_ = name;
    return {};
}

void ActiveProfile::follow(const Config& config) {
    if (in(config) == nullptr) {
        name_.clear();
    }
}

std::string profiles_document(const Config& config, const ProfileConfig* active) {
    Json profiles = Json::array();
    for (const ProfileConfig& profile : config.profiles) {
        Json pins = Json::object();
        for (const ProfilePin& pin : profile.pins) {
            pins[pin.name] = pin.target;
        }
        profiles.push_back({{"id", profile.name},
                            {"description", profile.description},
                            {"pins", std::move(pins)}});
    }
    return dump({{"active", name_of(active)}, {"profiles", std::move(profiles)}});
}

std::string active_document(const ProfileConfig* active) {
    return dump({{"active", name_of(active)}});
}

Result<std::string> read_profile_choice(std::string_view body) {
    const auto document = Json::parse(body, nullptr, false);
    if (document.is_discarded() || (!document.is_object() && !document.is_null())) {
        return refused("invalid profile request");
    }
    const auto name = document.find("name");
    if (name == document.end()) {
        return refused("profile name is required");
    }
    if (name->is_null()) {
        return std::string();
    }
    if (!name->is_string()) {
        return refused("profile name must be a string or null");
    }
    return name->get<std::string>();
}

}  // namespace corral::api
