#pragma once
// Whole small files in and out, safely: never waits for a FIFO or a device, never reads without a
// bound, never leaves half a file behind. Blocks for the disk: start-up, reload and the commands,
// or the pool for blocking work; never a session. Any thread.

#include "core/error.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace corral {

/// The bytes of a regular file (symbolic links followed) of at most `max_bytes`. Errors: io, naming
/// the path and the reason, also for a directory, FIFO, device or socket; body_too_large.
[[nodiscard]] Result<std::string> read_text_file(const std::string& path, std::size_t max_bytes);

/// Reads a descriptor of any kind, such as standard input, to its end; it may wait for a writer.
/// `name` stands for it in errors, which are those of read_text_file().
[[nodiscard]] Result<std::string> read_descriptor(int fd, std::string_view name,
                                                  std::size_t max_bytes);

/// True when the file's group or everybody may write it. A config holds commands: whoever may write
/// it may run them. False when that cannot be found out.
[[nodiscard]] bool writable_by_others(const std::string& path);

/// Replaces the file's content so that a reader sees the old or the new one, whole: a temporary
/// file beside it, fsync, rename. An existing file keeps its mode and, where permitted, its owner;
/// a new one gets 0644. A symbolic link stays and its target is replaced. Error: io.
[[nodiscard]] Result<void> write_file_atomically(const std::string& path, std::string_view content);

}  // namespace corral
