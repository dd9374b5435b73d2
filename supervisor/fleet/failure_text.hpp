#pragma once
// What people are told when a model's process fails: what happened, its last output without
// secrets, what to do. Never a command line. Pure; any thread.

#include "core/config.hpp"
#include "core/time.hpp"
#include "supervisor/logic/process_state.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace corral {

/// How many of a child's last lines go into a message.
inline constexpr std::size_t last_lines_in_message = 20;

/// Values that must never leave the program: the API keys, the values of `env` entries whose names
/// speak of keys, tokens, secrets or passwords, and the words that follow such an option in `cmd`.
[[nodiscard]] std::vector<std::string> secrets_of(const ModelConfig& model,
                                                  const std::vector<std::string>& api_keys);

/// The text with every occurrence of a secret replaced by "[hidden]".
[[nodiscard]] std::string hide_secrets(std::string_view text,
                                       const std::vector<std::string>& secrets);

/// True when a child's output says that another program has its port.
[[nodiscard]] bool says_port_is_taken(std::string_view output);

/// A child ended before it was ready. `output`: its last lines, secrets hidden; may be empty.
[[nodiscard]] std::string died_early_text(const ModelId& model, ExitStatus status, Duration after,
                                          std::string_view output);
/// It was not ready within the deadline. `asked`: what was asked, "http://…/health" or "a
/// connection".
[[nodiscard]] std::string not_ready_text(const ModelId& model, Duration after,
                                         std::string_view asked, std::string_view output);
/// Nothing could be executed. `why`: the launcher's reason.
[[nodiscard]] std::string not_launched_text(const ModelId& model, std::string_view why);
/// "exit status 3; last output:\n…", for whoever lost a connection to it.
[[nodiscard]] std::string ending_text(ExitStatus status, std::string_view output);

}  // namespace corral
