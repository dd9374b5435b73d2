#pragma once
// Profiles at run time: which one is active, and the documents of /api/profiles. What a pin does
// to a request is proxy/http/naming.hpp's. Main loop only.

#include "core/config.hpp"
#include "core/error.hpp"

#include <string>
#include <string_view>

namespace corral::api {

/// The active profile: none at start, one or none later. It is remembered by name, so that it
/// survives a reload of the config that still has it.
class ActiveProfile {
public:
    /// The active profile as this config has it; nullptr: none.
    [[nodiscard]] const ProfileConfig* in(const Config& config) const noexcept;
    /// Makes it the active one; an empty name: none. Error: not_found.
    [[nodiscard]] Result<void> choose(const Config& config, std::string_view name);
    /// A newer config holds: a profile that it does not have any more is not active any more.
    void follow(const Config& config);

private:
    std::string name_;
};

/// `GET /api/profiles`: {"active":null|name,"profiles":[{id,description,pins}]}.
[[nodiscard]] std::string profiles_document(const Config& config, const ProfileConfig* active);

/// The answer to a change: {"active":null|name}.
[[nodiscard]] std::string active_document(const ProfileConfig* active);

/// The name in the body of `PUT /api/profiles/active`, {"name":string|null}; empty for null.
/// Errors: bad_request.
[[nodiscard]] Result<std::string> read_profile_choice(std::string_view body);

}  // namespace corral::api
