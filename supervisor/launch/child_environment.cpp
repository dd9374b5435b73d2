// The child's environment and the search for its program. No forking, no state.

#include "supervisor/launch/child_environment.hpp"

#include "core/log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace corral {
namespace {

constexpr std::string_view default_path = "/usr/local/bin:/usr/bin:/bin";

std::string_view name_of(std::string_view entry) noexcept {
    const auto equals = entry.find('=');
    return equals == std::string_view::npos ? std::string_view{} : entry.substr(0, equals);
}

/// What belongs to Corral's own service manager or to Corral and must not reach a child.
bool is_ours(std::string_view name) noexcept {
    return name == "NOTIFY_SOCKET" || name.starts_with("LISTEN_") ||
           name.starts_with("WATCHDOG_") || name.starts_with("CORRAL_");
}

/// A key of Corral's own may stand in its environment under any name, for ${env.NAME} in the
/// config.
bool carries_key(std::string_view entry, const std::vector<std::string>& keys) noexcept {
    constexpr std::size_t telling_bytes_min = 12;
    const auto value = entry.substr(name_of(entry).size() + 1);
    return std::any_of(keys.begin(), keys.end(), [&](const std::string& key) {
        return !key.empty() && (value == key || (key.size() >= telling_bytes_min &&
                                                 value.find(key) != std::string_view::npos));
    });
}

struct Verdict {
    int error_number = 0;  ///< 0: it can be executed
    bool seen = false;     ///< it is there; without it, the errno may be about a directory above
};

Verdict judge(const std::string& file) noexcept {
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0) {
        return {errno, false};
    }
    if (S_ISDIR(status.st_mode)) {
        return {EISDIR, true};
    }
    if (!S_ISREG(status.st_mode) || ::faccessat(AT_FDCWD, file.c_str(), X_OK, AT_EACCESS) != 0) {
        return {EACCES, true};
    }
    return {0, true};
}

std::string_view hint(std::string_view program, int error_number, bool found) {
    const bool searched = program.find('/') == std::string_view::npos;
    switch (error_number) {
        case ENOENT:
            if (found) {
                return "what runs it is missing: the interpreter of its #! line, or the loader "
                       "that it was linked for";
            }
            return searched ? "it is not on PATH: install it, or write its full path in cmd"
                            : "write the path of an installed program in cmd";
        case EACCES:
            return "it must be a file that this user may execute (chmod +x), on a file system "
                   "that is not mounted noexec";
        case ENOEXEC:
            return "it is not a program for this machine, or a script without a #! line";
        case EISDIR:
            return "write the program in it, not the directory, in cmd";
        case E2BIG:
            return "its arguments and environment are too long";
        case ETXTBSY:
            return "it is still being written";
        case EAGAIN:
        case ENOMEM:
            return "this machine or its limits allow no more processes or memory";
        case EMFILE:
        case ENFILE:
            return "too many files are open: raise LimitNOFILE or ulimit -n";
        default:
            return {};
    }
}

}  // namespace

std::vector<std::string> child_environment(const char* const* own,
                                           const std::vector<std::string>& extra,
                                           std::string_view run,
                                           const std::vector<std::string>& keys) {
    std::vector<std::string> out;
    const auto set = [&out](std::string_view entry) {
        const auto name = name_of(entry);
        if (name.empty() || name == run_variable) {
            return;
        }
        std::erase_if(out, [&](const std::string& other) { return name_of(other) == name; });
        out.emplace_back(entry);
    };
    for (; own != nullptr && *own != nullptr; ++own) {
        const auto name = name_of(*own);
        if (!name.empty() && !is_ours(name) && !carries_key(*own, keys)) {
            set(*own);
        }
    }
    for (const auto& entry : extra) {
        set(entry);
    }
    out.push_back(fmt::format("{}={}", run_variable, run));
    return out;
}

std::string_view environment_value(const std::vector<std::string>& environment,
                                   std::string_view name) noexcept {
    for (const auto& entry : environment) {
        if (name_of(entry) == name) {
            return std::string_view(entry).substr(name.size() + 1);
        }
    }
    return {};
}

Result<std::string> find_program(const std::string& program, std::string_view path) {
    if (program.empty()) {
        return start_error(program, ENOENT, false);
    }
    if (program.find('/') != std::string::npos) {
        const int why = judge(program).error_number;
        return why == 0 ? Result<std::string>(program) : start_error(program, why, false);
    }
    if (path.empty()) {
        path = default_path;
    }
    int first_other = 0;  // a file that is there but cannot run explains more than "not found"
    for (bool more = true; more;) {
        const auto end = path.find(':');
        const auto part = path.substr(0, end);
        more = end != std::string_view::npos;
        path.remove_prefix(more ? end + 1 : path.size());
        auto file = fmt::format("{}/{}", part.empty() ? "." : part, program);
        const auto verdict = judge(file);
        if (verdict.error_number == 0) {
            return file;
        }
        if (first_other == 0 && verdict.seen) {
            first_other = verdict.error_number;
        }
    }
    return start_error(program, first_other == 0 ? ENOENT : first_other, false);
}

Error start_error(std::string_view program, int error_number, bool found) {
    auto text =
        fmt::format("cannot start '{}': {}", log::clean(program, 256), std::strerror(error_number));
    if (const auto advice = hint(program, error_number, found); !advice.empty()) {
        text += fmt::format("; {}", advice);
    }
    return {Errc::start_failed, Blame::upstream, std::move(text)};
}

}  // namespace corral
