#pragma once
// What must not be shown to whoever asks: the values of secret flags, variables and URLs, masked
// before a command, an environment or an address leaves the program. Pure; any thread.

#include <string>
#include <string_view>

namespace corral {

/// What stands where a secret stood.
inline constexpr std::string_view redacted = "***";

/// True when a variable of this name is likely to hold a secret: KEY, TOKEN, SECRET, PASSWORD,
/// PASSWD or CREDENTIAL is part of it, in any case.
[[nodiscard]] bool names_secret(std::string_view name);

/// A command line with the values of flags that usually hold secrets (`--api-key abc`,
/// `--hf-token=abc`) and of such variables (`env HF_TOKEN=abc …`) replaced by `***`. Quoting, line
/// ends and continuations are understood.
[[nodiscard]] std::string masked_command(std::string_view cmd);

/// `NAME=value`, with the value replaced when names_secret(NAME).
[[nodiscard]] std::string masked_assignment(std::string_view assignment);

/// A URL with the user information before its host replaced.
[[nodiscard]] std::string masked_url(std::string_view url);

}  // namespace corral
