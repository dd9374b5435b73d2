#pragma once
// Which proxy URLs llama-swap refuses: those that Go's net/url cannot parse. Pure; any thread.

#include <string>
#include <string_view>

namespace corral::load {

/// Why Go's url.Parse refuses this URL, in its words; empty when it takes it. Approximate: control
/// characters, a missing scheme before ":", brackets, port, percent signs and blanks in the host.
[[nodiscard]] std::string url_refusal(std::string_view url);

}  // namespace corral::load
