// The phrases of llama.cpp, vLLM, the C library, the dynamic linker and Python's argparse by which
// a failure is known.
#include "supervisor/logic/failure_class.hpp"

#include <algorithm>
#include <array>
#include <csignal>

namespace corral {
namespace {

/// A phrase in lower case, and one that, in the same line or the one behind it, takes it back.
struct Sign {
    FailureClass kind;
    std::string_view phrase;
    std::string_view unless = {};
};

// Within a line the first that fits counts; of several lines the last. So the special comes before
// the general: a missing library is also a file that is not there.
constexpr std::array signs{
    Sign{FailureClass::library_missing, "error while loading shared libraries"},
    Sign{FailureClass::library_missing, "cannot open shared object file"},
    Sign{FailureClass::library_missing, "symbol lookup error"},
    Sign{FailureClass::library_missing, "modulenotfounderror"},
    Sign{FailureClass::library_missing, "importerror"},
    Sign{FailureClass::library_missing, "cuda driver version is insufficient"},
    Sign{FailureClass::library_missing, "' not found (required by"},
    Sign{FailureClass::port_in_use, "address already in use"},
    Sign{FailureClass::port_in_use, "eaddrinuse"},
    Sign{FailureClass::port_in_use, "couldn't bind http server socket"},
    Sign{FailureClass::port_in_use, "couldn't bind to server socket"},
    Sign{FailureClass::bad_flag, "invalid argument:"},
    Sign{FailureClass::bad_flag, "unknown argument"},
    Sign{FailureClass::bad_flag, "unrecognized argument"},
    Sign{FailureClass::bad_flag, "unrecognized option"},
    Sign{FailureClass::bad_flag, "unknown option"},
    Sign{FailureClass::bad_flag, "invalid option"},
    Sign{FailureClass::bad_flag, "no such option"},
    Sign{FailureClass::bad_flag, "error while handling argument"},
    Sign{FailureClass::bad_flag, "argument has been removed"},
    Sign{FailureClass::bad_flag, "expected value for argument"},
    Sign{FailureClass::bad_flag, "flag provided but not defined"},
    Sign{FailureClass::bad_flag, "invalid choice:"},
    Sign{FailureClass::bad_flag, "the following arguments are required"},
    Sign{FailureClass::bad_flag, "unexpected argument"},
    Sign{FailureClass::out_of_memory, "out of memory", "retrying without pipeline parallelism"},
    Sign{FailureClass::out_of_memory, "out of device memory"},
    Sign{FailureClass::out_of_memory, "outofdevicememory"},
    Sign{FailureClass::out_of_memory, "outofmemory"},
    Sign{FailureClass::out_of_memory, "out_of_device_memory"},
    Sign{FailureClass::out_of_memory, "out_of_memory"},
    Sign{FailureClass::out_of_memory, "cudamalloc failed", "retrying without pipeline parallelism"},
    Sign{FailureClass::out_of_memory, "hipmalloc failed", "retrying without pipeline parallelism"},
    Sign{FailureClass::out_of_memory, "failed to allocate",
         "retrying without pipeline parallelism"},
    Sign{FailureClass::out_of_memory, "unable to allocate"},
    Sign{FailureClass::out_of_memory, "allocation failed"},
    Sign{FailureClass::out_of_memory, "not enough memory"},
    Sign{FailureClass::out_of_memory, "insufficient memory"},
    Sign{FailureClass::out_of_memory, "cannot allocate memory", "mlock"},
    Sign{FailureClass::out_of_memory, "std::bad_alloc"},
    Sign{FailureClass::out_of_memory, "memoryerror"},
    Sign{FailureClass::out_of_memory, "no available memory for the cache blocks"},
    Sign{FailureClass::out_of_memory, "less than desired gpu memory utilization"},
    Sign{FailureClass::file_missing, "no such file"},
    Sign{FailureClass::file_missing, "file not found"},
    Sign{FailureClass::file_missing, "filenotfounderror"},
    Sign{FailureClass::file_missing, "command not found"},
    Sign{FailureClass::file_missing, "failed to open gguf file"},
    Sign{FailureClass::file_missing, "does not exist"},
    Sign{FailureClass::file_missing, "is not a local folder and is not a valid model identifier"},
};

std::string in_lower_case(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return out;
}

bool has_phrase(std::string_view text, std::string_view phrase) {
    return text.find(phrase) != std::string_view::npos;
}

/// `rest` begins behind the line.
FailureClass class_of_line(std::string_view line, std::string_view rest) {
    const auto next = rest.substr(0, rest.find('\n'));
    const auto* const found = std::find_if(signs.begin(), signs.end(), [&](const Sign& sign) {
        const bool taken_back = !sign.unless.empty() &&
                                (has_phrase(line, sign.unless) || has_phrase(next, sign.unless));
        return has_phrase(line, sign.phrase) && !taken_back;
    });
    return found != signs.end() ? found->kind : FailureClass::other;
}

FailureClass class_of_output(std::string_view output) {
    const std::string text = in_lower_case(output);
    FailureClass last = FailureClass::other;
    for (std::string_view rest(text); !rest.empty();) {
        const auto end = rest.find('\n');
        const auto line = rest.substr(0, end);
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
        const FailureClass found = class_of_line(line, rest);
        last = found != FailureClass::other ? found : last;
    }
    return last;
}

/// What the status alone says.
FailureClass class_of_status(const ExitStatus& status) noexcept {
    constexpr int shell_found_no_program = 127;
    if (status.ending == Ending::memory_limit) {
        return FailureClass::memory_limit;
    }
    const bool unexplained =
        status.ending == Ending::plain && status.signaled && status.value == SIGKILL;
    if (status.ending == Ending::oom_killer || unexplained) {
        return FailureClass::oom_killed;
    }
    return !status.signaled && status.value == shell_found_no_program ? FailureClass::file_missing
                                                                      : FailureClass::other;
}

std::string_view hint_for_other(const FailureFacts& facts) noexcept {
    if (facts.at == FailedAt::launch) {
        return "correct its cmd or its proxy in the configuration.";
    }
    if (facts.status && facts.status->ending == Ending::killed) {
        return "find out who sends it SIGKILL: a person, a service manager, the limit of a "
               "container.";
    }
    if (facts.status && facts.status->signaled && facts.status->value == SIGILL) {
        return "its program was built for another processor: use a build for this one.";
    }
    if (facts.status && !facts.status->signaled && facts.status->value == 0 &&
        facts.at == FailedAt::loading) {
        return "its command ended by itself and without an error: let cmd stay in the foreground "
               "for as long as the server runs.";
    }
    return "run its command by hand to see it fail, and check the paths and options in its cmd.";
}

}  // namespace

FailureClass classify(const FailureFacts& facts) {
    if (facts.at == FailedAt::deadline || facts.at == FailedAt::stall) {
        return FailureClass::timed_out;
    }
    if (facts.at == FailedAt::taken_place) {
        return FailureClass::port_in_use;
    }
    const FailureClass by_status =
        facts.status ? class_of_status(*facts.status) : FailureClass::other;
    if (by_status == FailureClass::memory_limit || by_status == FailureClass::oom_killed) {
        return by_status;  // it had no chance to say anything
    }
    const FailureClass by_output = class_of_output(facts.output);
    return by_output != FailureClass::other ? by_output : by_status;
}

std::string_view failure_sentence(FailureClass kind) noexcept {
    switch (kind) {
        case FailureClass::out_of_memory:
            return "it ran out of memory";
        case FailureClass::file_missing:
            return "a file that it needs is missing";
        case FailureClass::bad_flag:
            return "it does not accept an option of its command";
        case FailureClass::port_in_use:
            return "its port is in use";
        case FailureClass::library_missing:
            return "a library that it needs is missing";
        case FailureClass::oom_killed:
            return "it was killed, most likely by the kernel's OOM killer";
        case FailureClass::memory_limit:
            return "it needed more than its memory limit";
        case FailureClass::timed_out:
            return "it was not ready in time";
        case FailureClass::other:
            break;
    }
    return "";
}

std::string_view failure_hint(FailureClass kind, const FailureFacts& facts) noexcept {
    switch (kind) {
        case FailureClass::out_of_memory:
            return "let it need less (a smaller context -c, fewer slots -np, fewer layers on the "
                   "GPU -ngl, a smaller quantization), or free memory that others hold.";
        case FailureClass::file_missing:
            return "check the paths in its cmd, and whether that disk is mounted.";
        case FailureClass::bad_flag:
            return "compare the options in its cmd with what its program's --help lists: they "
                   "change between versions.";
        case FailureClass::port_in_use:
            return "use ${PORT} in its cmd, so that a free port is chosen, or end the program that "
                   "has the port.";
        case FailureClass::library_missing:
            return "install the library, or add its folder to LD_LIBRARY_PATH in the model's env.";
        case FailureClass::oom_killed:
            return "see the kernel's log (dmesg) for the reason; if it was memory, let the model "
                   "need less, or run fewer models at once.";
        case FailureClass::memory_limit:
            return "raise its limits.memory, or let it need less.";
        case FailureClass::timed_out:
            return facts.at == FailedAt::stall
                       ? "its log says how far it came; raise startStallTimeout if it may be "
                         "silent for longer."
                       : "raise healthCheckTimeout if it needs longer to load; otherwise check "
                         "that "
                         "it listens where its proxy and checkEndpoint say.";
        case FailureClass::other:
            break;
    }
    return hint_for_other(facts);
}

bool says_port_is_taken(std::string_view output) {
    const std::string text = in_lower_case(output);
    return std::any_of(signs.begin(), signs.end(), [&](const Sign& sign) {
        return sign.kind == FailureClass::port_in_use && has_phrase(text, sign.phrase);
    });
}

}  // namespace corral
