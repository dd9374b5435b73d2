#pragma once
// What a name in a request means: profile, selector, model, peer, in this order. Functions of the
// config and of advisory states; they reserve nothing. Main loop only.

#include "core/config.hpp"
#include "core/error.hpp"
#include "proxy/api/selectors.hpp"
#include "proxy/http/target.hpp"

#include <string>
#include <string_view>

namespace corral::http {

/// Who serves a request. Points into the config that it was found in.
struct Destination {
    const ModelConfig* model = nullptr;        ///< one of our models, or
    const PeerConfig* peer = nullptr;          ///< another server
    const SelectorConfig* selector = nullptr;  ///< that chose it; nullptr: it was named
    /// What the request asks for in the end: an id, an alias, a peer's model. Filters go by it.
    std::string name;
    /// The name that the request has to carry there; for a peer the one without the peer's.
    std::string sent_name;
};

/// Where names are looked up. Borrowed for the call.
struct Directory {
    const Config& config;
    const ProfileConfig* profile = nullptr;  ///< the active one
    const api::StateOf& state_of;
    const api::SelectorLoads& loads;
};

/// The destination of a request for `name`: the active profile's pin is applied once, then a
/// selector chooses, then a model of ours goes before a peer's. Errors: model_missing (pinned to
/// nobody), model_not_found, overloaded (a spillover without a target).
[[nodiscard]] Result<Destination> find_destination(std::string_view name, const Directory& in);

/// A request below /upstream/: who serves it, and what stands behind the name.
struct UpstreamDestination {
    Destination to;
    UpstreamTarget target;
};

/// The same for a path: the longest pin that it begins with, else the longest name of a model of
/// ours or a peer's. Selectors are not meant here. Errors: model_not_found, bad_request.
[[nodiscard]] Result<UpstreamDestination> find_upstream_destination(const Target& target,
                                                                    const Config& config,
                                                                    const ProfileConfig* profile);

/// The 404 for a name that nobody has.
[[nodiscard]] Error unknown_model(std::string_view name, const Config& config);

}  // namespace corral::http
