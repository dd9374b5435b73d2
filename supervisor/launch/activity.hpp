#pragma once
// What a process tree has read, by which a model that loads is told from one that hangs. For
// launch/ only, any thread.

#include <cstdint>
#include <optional>
#include <string_view>
#include <sys/types.h>

namespace corral {

/// Of the text of /proc/PID/io: bytes that went through read(2) (`rchar`) and bytes that storage
/// gave (`read_bytes`), which also counts files that are mapped.
[[nodiscard]] std::optional<std::uint64_t> parse_bytes_read(std::string_view text) noexcept;

/// The sum over `root` and all below it; nullopt when it cannot be read. It shrinks when one ends.
[[nodiscard]] std::optional<std::uint64_t> bytes_read_by_tree(pid_t root);

}  // namespace corral
