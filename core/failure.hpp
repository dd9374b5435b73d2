#pragma once
// What is known of a model that failed, as data for those who tell of it: error bodies, lists, the
// log. Secrets are hidden in it already, and no command line is in it. Plain values; any thread.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace corral {

/// What kind of failure it was, as far as its exit and its last output say.
enum class FailureClass : std::uint8_t {
    other,            ///< none of the others
    out_of_memory,    ///< the engine says that memory, the GPU's or the machine's, did not suffice
    file_missing,     ///< a file that it needs (its program, the model) is not there
    bad_flag,         ///< it does not know, or does not accept, an option of its command
    port_in_use,      ///< something else listens where it should
    library_missing,  ///< the dynamic linker, or Python, does not find a library
    oom_killed,       ///< the kernel's OOM killer ended it, or most likely did
    memory_limit,     ///< Corral ended it because of its `limits.memory`
    timed_out,        ///< it was not ready within its deadline
};

/// "out_of_memory", …; stable, for programs.
[[nodiscard]] std::string_view failure_class_name(FailureClass kind) noexcept;

struct Failure {
    FailureClass kind = FailureClass::other;
    std::string status;      ///< "exit status 3", "signal 9 (Killed)"; empty: nothing ran
    std::string last_lines;  ///< what it printed last, lines joined by newlines; may be empty
    std::string hint;        ///< what to do about it
    std::chrono::seconds retry_after{0};  ///< from when it was told; 0: the next request tries
};

}  // namespace corral
