#pragma once
// Why a model failed: from how its process ended, where, and what it printed last to a class, a
// sentence and advice. Log text is a weak interface: what no phrase fits is `other`. Pure; any
// thread.

#include "core/failure.hpp"
#include "supervisor/logic/process_state.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace corral {

/// How far it had come.
enum class FailedAt : std::uint8_t {
    launch,       ///< nothing could be executed
    loading,      ///< it ended before it was ready
    deadline,     ///< it was not ready in time
    stall,        ///< it neither printed nor read anything for too long
    taken_place,  ///< Corral ended it, because somebody else answers at its address
    serving,      ///< it was ready and ended by itself
};

struct FailureFacts {
    FailedAt at = FailedAt::loading;
    std::optional<ExitStatus> status;  ///< none while it runs, or when nothing ran
    std::string_view output;           ///< its last lines, or the launcher's reason
};

[[nodiscard]] FailureClass classify(const FailureFacts& facts);

/// What happened, to stand behind "model x" or a semicolon: "it ran out of memory". Empty for
/// `other`.
[[nodiscard]] std::string_view failure_sentence(FailureClass kind) noexcept;

/// What to do about it: whole sentences, never empty.
[[nodiscard]] std::string_view failure_hint(FailureClass kind, const FailureFacts& facts) noexcept;

/// True when a child's output says that another program has its port.
[[nodiscard]] bool says_port_is_taken(std::string_view output);

}  // namespace corral
