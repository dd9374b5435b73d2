#include "core/log_writer.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <filesystem>
#include <map>
#include <mutex>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace corral {
namespace {

constexpr std::chrono::seconds end_patience{2};
constexpr std::size_t file_name_bytes_max = 200;
constexpr mode_t file_mode = 0600;  // what models print may be anybody's words
constexpr mode_t directory_mode = 0700;

struct WaitingLine {
    std::chrono::system_clock::time_point at;
    std::string model;
    std::string line;
};

/// One file that grows, and the older ones beside it. Errors are errno values.
class RotatingFile {
public:
    RotatingFile(std::string path, const LogWriter::Settings& settings)
        : path_(std::move(path)), settings_(settings) {}
    ~RotatingFile() { close(); }
    RotatingFile(const RotatingFile&) = delete;
    RotatingFile& operator=(const RotatingFile&) = delete;

    [[nodiscard]] const std::string& path() const noexcept { return path_; }

    int write(std::string_view text) {
        if (size_ > 0 && size_ + text.size() > settings_.file_bytes_max) {
            rotate();
        }
        if (fd_ < 0) {
            if (const int why = open(); why != 0) {
                return why;
            }
        }
        while (!text.empty()) {
            const ssize_t n = ::write(fd_, text.data(), text.size());
            if (n < 0 && errno != EINTR) {
                return errno;
            }
            const std::size_t done = n > 0 ? static_cast<std::size_t>(n) : 0;
            size_ += done;
            text.remove_prefix(done);
        }
        return 0;
    }

private:
    int open() {
        constexpr int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
        fd_ = ::open(path_.c_str(), flags, file_mode);
        struct stat info {};
        if (fd_ < 0 || ::fstat(fd_, &info) != 0) {
            const int why = errno;
            close();
            return why;
        }
        if (!S_ISREG(info.st_mode)) {
            close();
            return EINVAL;
        }
        size_ = static_cast<std::size_t>(info.st_size);
        return 0;
    }

    void close() noexcept {
        if (fd_ >= 0) {
            ::close(std::exchange(fd_, -1));
        }
    }

    /// name.log.1 is the youngest of the older ones. What cannot be moved stays and grows on.
    void rotate() {
        close();
        size_ = 0;
        for (std::size_t n = settings_.files_max - 1; n > 0; --n) {
            const std::string from = n == 1 ? path_ : fmt::format("{}.{}", path_, n - 1);
            const std::string to = fmt::format("{}.{}", path_, n);
            static_cast<void>(std::rename(from.c_str(), to.c_str()));
        }
        if (settings_.files_max == 1) {
            static_cast<void>(::unlink(path_.c_str()));
        }
    }

    const std::string path_;
    const LogWriter::Settings& settings_;
    int fd_ = -1;
    std::size_t size_ = 0;
};

/// What the thread owns.
class Files {
public:
    explicit Files(const LogWriter::Settings& settings) : settings_(settings) {}

    /// 0 or an errno, and then path() says of what.
    int write(const WaitingLine& waiting) {
        const std::string name = log_file_name(waiting.model);
        auto found = files_.find(name);
        if (found == files_.end()) {
            if (files_.size() >= open_max) {
                files_.clear();  // rare: they are opened again when they are needed
            }
            std::error_code ignored;  // the open() will say why
            if (std::filesystem::create_directories(settings_.directory, ignored)) {
                ::chmod(settings_.directory.c_str(), directory_mode);
            }
            found = files_.try_emplace(name, settings_.directory + "/" + name, settings_).first;
        }
        path_ = found->second.path();
        const auto at = std::chrono::floor<std::chrono::milliseconds>(waiting.at);
        const auto ms = at.time_since_epoch().count() % 1000;
        const std::string text =
            waiting.model.empty()  // Corral's own lines have their time
                ? waiting.line + "\n"
                : fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z {}\n",
                              fmt::gmtime(std::chrono::system_clock::to_time_t(at)), ms,
                              waiting.line);
        return found->second.write(text);
    }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    static constexpr std::size_t open_max = 64;
    const LogWriter::Settings& settings_;
    std::map<std::string, RotatingFile> files_;
    std::string path_;
};

bool stays_in_name(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

}  // namespace

/// Held by the thread and by the LogWriter; the mutex guards what stands below it.
struct LogWriter::Shared {
    Settings settings;
    OnLine also;

    std::mutex mutex;
    std::condition_variable changed;
    std::deque<WaitingLine> waiting;
    std::size_t waiting_bytes = 0;
    std::size_t lost = 0;  // lines, since the last problem was taken
    std::string why;       // they were lost, if not for want of room
    bool ending = false;
    bool ended = false;
    std::atomic<bool> has_problem = false;  // for a look without the mutex
    std::thread thread;

    void run() {
        Files files(settings);
        std::unique_lock lock(mutex);
        while (true) {
            changed.wait(lock, [this] { return ending || !waiting.empty(); });
            if (waiting.empty()) {
                break;
            }
            std::deque<WaitingLine> taken = std::exchange(waiting, {});
            waiting_bytes = 0;
            lock.unlock();
            for (const WaitingLine& line : taken) {
                write(files, line);
            }
            lock.lock();
        }
        ended = true;
        changed.notify_all();
    }

    void write(Files& files, const WaitingLine& line) {
        if (also) {
            also(line.model, line.line);
        }
        if (settings.directory.empty()) {
            return;
        }
        if (const int error = files.write(line); error != 0) {
            const std::lock_guard lock(mutex);
            ++lost;
            why = "cannot write " + files.path() + ": " + std::strerror(error);
            has_problem = true;
        }
    }
};

LogWriter::LogWriter(Settings settings, OnLine also) : shared_(std::make_shared<Shared>()) {
    shared_->settings = std::move(settings);
    shared_->also = std::move(also);
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are the main thread's
    shared_->thread = std::thread([shared = shared_] { shared->run(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

LogWriter::~LogWriter() {
    std::unique_lock lock(shared_->mutex);
    shared_->ending = true;
    shared_->changed.notify_all();
    const bool ended =
        shared_->changed.wait_for(lock, end_patience, [this] { return shared_->ended; });
    lock.unlock();
    if (ended) {
        shared_->thread.join();
    } else {
        shared_->thread.detach();  // it owns all that it uses
    }
}

void LogWriter::add(std::string_view model, std::string_view line) {
    const std::size_t bytes = sizeof(WaitingLine) + model.size() + line.size();
    const std::lock_guard lock(shared_->mutex);
    if (shared_->waiting_bytes + bytes > waiting_bytes_max) {
        ++shared_->lost;
        shared_->has_problem = true;
        return;
    }
    shared_->waiting_bytes += bytes;
    shared_->waiting.push_back(
        {std::chrono::system_clock::now(), std::string(model), std::string(line)});
    shared_->changed.notify_one();
}

std::optional<std::string> LogWriter::take_problem() {
    if (!shared_->has_problem.exchange(false)) {
        return std::nullopt;
    }
    const std::lock_guard lock(shared_->mutex);
    const std::string reason = shared_->why.empty() ? "the disk is too slow" : shared_->why;
    shared_->why.clear();
    return fmt::format("{}; {} lines are lost", reason, std::exchange(shared_->lost, 0));
}

const LogWriter::Settings& LogWriter::settings() const noexcept {
    return shared_->settings;
}

std::string log_file_name(std::string_view model) {
    constexpr std::string_view own = "corral";
    std::string out(model.empty() ? own : "");
    for (std::size_t i = 0; i < model.size(); ++i) {
        const char c = model[i];
        const bool special = i == 0 && (c == '.' || model == own);
        if (stays_in_name(c) && !special) {
            out += c;
        } else {
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    if (out.size() > file_name_bytes_max) {
        const std::size_t hash = std::hash<std::string_view>()(model);
        out = out.substr(0, file_name_bytes_max - 17) + fmt::format("-{:016x}", hash);
    }
    return out + ".log";
}

}  // namespace corral
