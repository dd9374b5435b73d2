#pragma once
// What people are told when a model's process fails: what happened, its last output without
// secrets, what to do. Never a command line. Pure; any thread.

#include "core/config.hpp"
#include "core/failure.hpp"
#include "core/time.hpp"
#include "supervisor/logic/failure_class.hpp"

#include <memory>
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

/// What failed as data. `output` stands in facts without secrets already.
[[nodiscard]] std::shared_ptr<const Failure> failure_of(const FailureFacts& facts);

/// A child ended before it was ready.
[[nodiscard]] std::string died_early_text(const ModelId& model, const Failure& failure,
                                          Duration after);
/// It was not ready within the deadline. `asked`: what was asked, "http://…/health" or "a
/// connection".
[[nodiscard]] std::string not_ready_text(const ModelId& model, const Failure& failure,
                                         Duration after, std::string_view asked);
/// It did nothing for so long.
[[nodiscard]] std::string stalled_text(const ModelId& model, const Failure& failure, Duration after,
                                       Duration silent_for);
/// Nothing could be executed. `why`: the launcher's reason.
[[nodiscard]] std::string not_launched_text(const ModelId& model, const Failure& failure,
                                            std::string_view why);
/// "it ran out of memory: exit status 3; last output:\n…", for whoever lost a connection to it.
[[nodiscard]] std::string ending_text(const Failure& failure);

}  // namespace corral
