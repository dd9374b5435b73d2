#pragma once
// The model list as OpenAI's clients and llama-swap's users read it: one record for each name that
// a request may use. Functions of the config and of advisory states; no I/O. Main loop.

#include "core/config.hpp"
#include "proxy/api/selectors.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace corral::api {

/// What a list is made from. Borrowed for the call.
struct Listing {
    const Config& config;
    const ProfileConfig* profile = nullptr;  ///< the active one
    const StateOf& state_of;
    std::chrono::seconds created{0};  ///< since 1970
};

/// `GET /v1/models`: {"data":[…],"object":"list"}, sorted by id: models and selectors that are not
/// unlisted, aliases when the config says includeAliasesInList, peers' models as `peer/model`, the
/// active profile's pins that no model's name shadows.
[[nodiscard]] std::string models_list(const Listing& in);

/// `GET /v1/models/{id}`: one record, for any name that a request may use, unlisted or not; nullopt
/// when there is none.
[[nodiscard]] std::optional<std::string> model_record(const Listing& in, std::string_view name);

}  // namespace corral::api
