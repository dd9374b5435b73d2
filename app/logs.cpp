#include "app/logs.hpp"

#include "app/notify.hpp"
#include "core/log.hpp"
#include "supervisor/fleet/failure_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utility>

#ifdef CORRAL_HAVE_SYSTEMD
#include <systemd/sd-journal.h>
#endif

namespace corral {
namespace {

/// A pipe that poll() calls writable takes this much without waiting (POSIX PIPE_BUF).
constexpr std::size_t sure_bytes_max = 4096;

/// What standard output takes at once; a reader that is slow must not stop Corral.
std::size_t print_now(std::string_view text) {
    std::size_t done = 0;
    while (done < text.size()) {
        pollfd out{STDOUT_FILENO, POLLOUT, 0};
        if (::poll(&out, 1, 0) != 1 || (out.revents & POLLOUT) == 0) {
            break;
        }
        const auto n = ::write(STDOUT_FILENO, text.data() + done,
                               std::min(sure_bytes_max, text.size() - done));
        if (n <= 0) {
            break;
        }
        done += static_cast<std::size_t>(n);
    }
    return done;
}

/// Called in the writer's thread: journald may be slow.
void send_to_journal(std::string_view model, std::string_view line) {
    if (model.empty()) {
        return;  // Corral's own lines are there already, or were meant to go elsewhere
    }
#ifdef CORRAL_HAVE_SYSTEMD
    const std::string message = fmt::format("MESSAGE={}", line);
    const std::string field = fmt::format("MODEL={}", model);
    const auto part = [](std::string_view text) {
        return iovec{const_cast<char*>(text.data()), text.size()};  // NOLINT: only read
    };
    const std::array parts{part(message), part(field), part("PRIORITY=6"),
                           part("SYSLOG_IDENTIFIER=corral")};
    static_cast<void>(sd_journal_sendv(parts.data(), static_cast<int>(parts.size())));
#else
    static_cast<void>(line);
#endif
}

}  // namespace

Logs::Logs(std::shared_ptr<const Config> config) {
    adopt(std::move(config));
    log::tee([this](std::string_view line) { add_own(line); });
}

Logs::~Logs() {
    log::tee(nullptr);
    log::show(true);
}

void Logs::adopt(std::shared_ptr<const Config> config) {
    config_ = std::move(config);
    secrets_.clear();
    book_.adopt(*config_);
    log::show(shows_own(config_->log_to_stdout));
    const LogsConfig& logs = config_->logs;
    if (logs != written_) {
        writer_.reset();  // before its successor opens the same files
        const bool wanted = !logs.directory.empty() || logs.journal;
        const LogWriter::OnLine journal = logs.journal ? send_to_journal : LogWriter::OnLine();
        if (wanted) {
            writer_ = std::make_unique<LogWriter>(
                LogWriter::Settings{logs.directory, logs.file_bytes_max, logs.files_max}, journal);
        }
        written_ = logs;
    }
}

void Logs::add_output(std::string_view model, std::string_view line) {
    const std::vector<std::string>& hidden = secrets(model);
    const std::string shown = hidden.empty() ? std::string(line) : hide_secrets(line, hidden);
    book_.add_output(model, shown);
    if (writer_) {
        writer_->add(model, shown);
        tell_problem();
    }
    const bool twice = config_->logs.journal && notify::logs_to_journal();
    if (shows_output(config_->log_to_stdout) && !twice) {
        print(shown);
    }
}

void Logs::add_own(std::string_view line) {
    book_.add_own(line);
    if (writer_) {
        writer_->add({}, line);
    }
}

void Logs::print(std::string_view line) {
    std::string text;
    if (not_printed_ > 0) {
        text = fmt::format("— {} bytes dropped —\n", not_printed_);
    }
    text.append(line).append("\n");
    const std::size_t done = print_now(text);
    if (done == text.size()) {
        not_printed_ = 0;
    } else {
        not_printed_ += line.size() + 1;
    }
}

/// Such a line is itself one for the file, which may fail again: once is enough.
void Logs::tell_problem() {
    if (telling_) {
        return;
    }
    telling_ = true;
    if (const auto problem = writer_->take_problem()) {
        spdlog::warn("logs: {}", log::clean(*problem, 1024));
    }
    telling_ = false;
}

const std::vector<std::string>& Logs::secrets(std::string_view model) {
    auto found = secrets_.find(model);
    if (found == secrets_.end()) {
        const ModelConfig* known = config_->find_id(ModelId(std::string(model)));
        found = secrets_
                    .emplace(std::string(model), known != nullptr
                                                     ? secrets_of(*known, config_->api_keys)
                                                     : config_->api_keys)
                    .first;
    }
    return found->second;
}

}  // namespace corral
