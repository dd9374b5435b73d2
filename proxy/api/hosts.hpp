#pragma once
// By which names Corral may be asked (the Host field). A page of any site can give its own name the
// address of this machine (DNS rebinding) and then speaks to Corral as if it were at home here; the
// browser tells by the Host that it is not. So without API keys only those names count that no
// stranger can own. With API keys there is nothing to be had without one, and browsers send keys to
// the site that they were given for only: any name will do. Pure; any thread; allocates nothing.

#include <span>
#include <string>
#include <string_view>

namespace corral::api {

/// True for an IP address as it is usually written (IPv6 in brackets), localhost, a name of one
/// label, `*.local` and `*.internal`; a dot may stand at the end of names. What browsers would read
/// as an address though it is not written like one (2130706433, 127.1, 0x7f000001) is none of them.
[[nodiscard]] bool is_local_name(std::string_view host) noexcept;

/// The same, the machine's own name, and what `allowed` lists (Config::allowed_hosts). `authority`
/// is a Host field: a name and perhaps a port. An empty one, which HTTP/1.0 may send, passes.
[[nodiscard]] bool is_allowed_host(std::string_view authority, std::string_view own_name,
                                   std::span<const std::string> allowed) noexcept;

}  // namespace corral::api
