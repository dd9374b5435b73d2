// Files of leftovers: DIRECTORY/<random>/lock and DIRECTORY/<random>/<name>.run, for the owner's
// eyes only, as a model's environment may hold secrets. What is broken is warned of and removed.

#include "supervisor/launch/leftovers.hpp"

#include "core/config.hpp"
#include "core/file.hpp"
#include "core/log.hpp"
#include "supervisor/launch/child_environment.hpp"
#include "supervisor/launch/spawn.hpp"
#include "supervisor/logic/process_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace corral {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view leftover_head = "corral leftover 1";
constexpr std::string_view leftover_end = "end";
constexpr std::string_view note_suffix = ".run";
constexpr std::string_view unfinished_prefix = ".new-";
constexpr std::size_t note_bytes_max = 4 << 20;
constexpr std::size_t notes_max = 1'000;
constexpr int leftover_pause_ms = 10;

using Say = std::function<void(const std::string&)>;

/// A line of the file: line ends and backslashes of the text are escaped.
void append_line(std::string& out, std::string_view key, std::string_view text) {
    out.append(key).append(" ");
    for (const char c : text) {
        if (c == '\n' || c == '\\') {
            out += '\\';
        }
        out += c == '\n' ? 'n' : c;
    }
    out += '\n';
}

std::string unescaped(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool escape = text[i] == '\\' && i + 1 < text.size();
        i += escape ? 1 : 0;
        out += escape && text[i] == 'n' ? '\n' : text[i];
    }
    return out;
}

template <class T>
bool take_value(std::string_view text, T& value) noexcept {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size();
}

bool names_pid(const std::vector<std::string>& words) {
    return std::any_of(words.begin(), words.end(), [](const std::string& word) {
        return word.find("${PID}") != std::string::npos;
    });
}

/// An errno, or 0. A file of its own beside it first, so that a reader sees all or nothing.
int write_note(const std::string& path, std::string_view text) {
    const std::string beside = path + ".tmp";
    const int fd = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return errno;
    }
    int why = 0;
    while (why == 0 && !text.empty()) {
        const ssize_t n = ::write(fd, text.data(), text.size());
        why = n < 0 && errno != EINTR ? errno : 0;
        text.remove_prefix(n > 0 ? static_cast<std::size_t>(n) : 0);
    }
    ::close(fd);
    if (why == 0 && ::rename(beside.c_str(), path.c_str()) != 0) {
        why = errno;
    }
    if (why != 0) {
        ::unlink(beside.c_str());
    }
    return why;
}

/// The lock of a directory when nobody else has it, else -1. It goes with the descriptor.
int take_lock(const std::string& directory, int flags) noexcept {
    const int fd =
        ::open((directory + "/lock").c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
    if (fd >= 0 && ::flock(fd, LOCK_EX | LOCK_NB) != 0) {
        ::close(fd);
        return -1;
    }
    return fd;
}

std::vector<fs::path> entries_of(const std::string& directory) {
    std::vector<fs::path> out;
    std::error_code error;
    for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
         entry.increment(error)) {
        out.push_back(entry->path());
    }
    return out;
}

/// The notes of a dead Corral, which are forgotten with this: what runs them is their last chance.
std::vector<Leftover> take_notes(const std::string& directory, const Say& say) {
    std::vector<Leftover> out;
    for (const auto& path : entries_of(directory)) {
        if (!path.filename().string().ends_with(note_suffix)) {
            continue;
        }
        const auto text = read_text_file(path.string(), note_bytes_max);
        auto leftover = text ? parse_leftover(*text) : std::nullopt;
        if (leftover && out.size() < notes_max) {
            out.push_back(std::move(*leftover));
        } else {
            say(fmt::format("{}: a note of what a model left behind cannot be read; it is dropped",
                            log::clean(path.string())));
        }
    }
    return out;
}

std::string of_model(const std::string& model) {
    return fmt::format("model={} was running when Corral died", log::clean(model));
}

/// A running stop command.
struct StopCommand {
    std::string model;
    pid_t pid = -1;
};

std::optional<StopCommand> start_stop_command(const Leftover& leftover, const std::string& boot,
                                              const Say& say) {
    const auto words = stop_words(leftover, boot, read_process(leftover.pid));
    if (!words || words->empty()) {
        say(of_model(leftover.model) +
            "; its cmdStop is not run: its ${PID} would be another process now");
        return std::nullopt;
    }
    SpawnRequest request;
    request.argv = *words;
    request.environment = child_environment(environ, leftover.env, "leftover");
    const auto file = find_program(words->front(), environment_value(request.environment, "PATH"));
    request.output = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    SpawnResult made;
    if (file && request.output >= 0) {
        request.file = *file;
        made = spawn_process(request);
    }
    if (request.output >= 0) {
        ::close(request.output);
    }
    if (made.pid <= 0) {
        say(of_model(leftover.model) + "; its cmdStop cannot be run: " +
            (file ? std::strerror(made.error_number) : file.error().detail));
        return std::nullopt;
    }
    say(of_model(leftover.model) + ": its cmdStop is run");
    return StopCommand{leftover.model, made.pid};
}

/// Waits for all of them; kills those that take too long.
void wait_for_stop_commands(std::vector<StopCommand> commands, int timeout_ms, const Say& say) {
    int waited_ms = 0;
    const auto has_ended = [&say](const StopCommand& command) {
        int status = 0;
        const pid_t pid = ::waitpid(command.pid, &status, WNOHANG);
        if (pid > 0 && status != 0) {
            const ExitStatus how{WIFSIGNALED(status),
                                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)};
            say(of_model(command.model) + "; its cmdStop failed: " + how.describe());
        }
        return pid != 0;
    };
    while (std::erase_if(commands, has_ended), !commands.empty() && waited_ms < timeout_ms) {
        ::poll(nullptr, 0, leftover_pause_ms);
        waited_ms += leftover_pause_ms;
    }
    for (const auto& command : commands) {
        say(of_model(command.model) + "; its cmdStop did not end in time and was killed");
        ::kill(-command.pid, SIGKILL);  // not reaped yet, so it is this group and no other
        ::waitpid(command.pid, nullptr, 0);
    }
}

}  // namespace

std::string write_leftover(const Leftover& leftover) {
    std::string out(leftover_head);
    out += '\n';
    append_line(out, "model", leftover.model);
    append_line(out, "pid", std::to_string(leftover.pid));
    append_line(out, "start", std::to_string(leftover.start_ticks));
    append_line(out, "boot", leftover.boot);
    for (const auto& word : leftover.stop) {
        append_line(out, "stop", word);
    }
    for (const auto& entry : leftover.env) {
        append_line(out, "env", entry);
    }
    return out.append(leftover_end).append("\n");
}

std::optional<Leftover> parse_leftover(std::string_view text) {
    Leftover out;
    bool first = true;
    while (!text.empty()) {
        const auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        if (first && line != leftover_head) {
            return std::nullopt;
        }
        if (line == leftover_end) {
            return out.stop.empty() ? std::nullopt : std::optional(std::move(out));
        }
        const auto blank = std::min(line.find(' '), line.size());
        const auto key = line.substr(0, blank);
        const auto raw = line.substr(std::min(blank + 1, line.size()));
        bool good = true;
        if (key == "model") {
            out.model = unescaped(raw);
        } else if (key == "pid") {
            good = take_value(raw, out.pid);
        } else if (key == "start") {
            good = take_value(raw, out.start_ticks);
        } else if (key == "boot") {
            out.boot = unescaped(raw);
        } else if (key == "stop") {
            out.stop.push_back(unescaped(raw));
        } else if (key == "env") {
            out.env.push_back(unescaped(raw));
        } else {
            good = first;
        }
        if (!good) {
            return std::nullopt;
        }
        first = false;
    }
    return std::nullopt;
}

std::optional<std::vector<std::string>> stop_words(const Leftover& leftover, std::string_view boot,
                                                   const std::optional<ProcessInfo>& holder) {
    if (!names_pid(leftover.stop)) {
        return leftover.stop;
    }
    const bool same = holder && leftover.boot == boot && !boot.empty() &&
                      holder->start_ticks == leftover.start_ticks;
    if (leftover.pid <= 0 || (holder && !same)) {
        return std::nullopt;
    }
    std::vector<std::string> out;
    for (const auto& word : leftover.stop) {
        out.push_back(replace_macro(word, "PID", std::to_string(leftover.pid)));
    }
    return out;
}

std::string boot_id() {
    const auto text = read_text_file("/proc/sys/kernel/random/boot_id", 128);
    return text ? text->substr(0, text->find('\n')) : std::string();
}

LeftoverBook::~LeftoverBook() {
    if (!own_.empty()) {
        // What is still noted was not stopped by us: it stays, and the lock goes with us.
        const auto left = entries_of(own_);
        if (left.size() <= 1) {
            ::unlink((own_ + "/lock").c_str());
            ::rmdir(own_.c_str());
        }
    }
    if (lock_ >= 0) {
        ::close(lock_);
    }
}

bool LeftoverBook::open() {
    if (!own_.empty()) {
        return true;
    }
    std::error_code error;
    if (directory_.empty()) {
        errno = ENOENT;
        return false;
    }
    const mode_t before = ::umask(0077);
    fs::create_directories(directory_, error);
    // Locked before it has its name, so that nobody takes it for a dead one's.
    std::string unfinished = fmt::format("{}/{}XXXXXX", directory_, unfinished_prefix);
    bool made = !error && ::mkdtemp(unfinished.data()) != nullptr;
    if (made) {
        const std::string name =
            fmt::format("{}/{}", directory_, unfinished.substr(unfinished.rfind('-') + 1));
        lock_ = take_lock(unfinished, O_CREAT);
        made = lock_ >= 0 && ::rename(unfinished.c_str(), name.c_str()) == 0;
        own_ = made ? name : std::string();
    }
    ::umask(before);
    return made;
}

void LeftoverBook::note(const std::string& name, const Leftover& leftover) {
    errno = 0;
    int why = 0;
    if (!open()) {
        why = errno == 0 ? EIO : errno;
    } else {
        why = write_note(fmt::format("{}/{}{}", own_, name, note_suffix), write_leftover(leftover));
    }
    if (why != 0 && !warned_) {
        warned_ = true;
        spdlog::warn(
            "what models start outside of their processes cannot be remembered in {}: {}; if "
            "Corral is killed, their cmdStop is not run",
            directory_.empty() ? "a state directory ($STATE_DIRECTORY or $HOME)" : directory_,
            std::strerror(why));
    }
}

void LeftoverBook::strike(const std::string& name) noexcept {
    if (!own_.empty()) {
        ::unlink(fmt::format("{}/{}{}", own_, name, note_suffix).c_str());
    }
}

int stop_leftovers(const std::string& directory, int timeout_ms, const Say& say) {
    struct Dead {
        std::string directory;
        int lock;
    };
    std::vector<Dead> dead;
    std::vector<StopCommand> commands;
    const std::string boot = boot_id();
    for (const auto& path : entries_of(directory)) {
        if (path.filename().string().starts_with(unfinished_prefix)) {
            continue;
        }
        const int lock = take_lock(path.string(), 0);
        if (lock < 0) {
            continue;
        }
        dead.push_back({path.string(), lock});
        for (const auto& leftover : take_notes(path.string(), say)) {
            if (auto command = start_stop_command(leftover, boot, say)) {
                commands.push_back(std::move(*command));
            }
        }
    }
    const int ran = static_cast<int>(commands.size());
    wait_for_stop_commands(std::move(commands), timeout_ms, say);
    for (const auto& [its, lock] : dead) {
        std::error_code ignored;
        fs::remove_all(its, ignored);
        ::close(lock);
    }
    return ran;
}

}  // namespace corral
