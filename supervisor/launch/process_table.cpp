// The reaper and the killer of trees. Main loop only. Every launch calls setsid(), so a child of
// ours in another session descends from a launch, and one in our session is somebody else's.

#include "supervisor/launch/process_table.hpp"

#include "core/log.hpp"
#include "supervisor/launch/child_environment.hpp"
#include "supervisor/launch/guard.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <optional>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace corral {
namespace {

constexpr Duration first_pause = Duration(1);
constexpr Duration last_pause = Duration(50);
/// So that a fork bomb that is being killed holds up the loop for a few milliseconds at most.
constexpr std::size_t adopted_per_turn_max = 512;

/// How a child has ended, which stays a zombie; nothing when it runs. A child that somebody reaped
/// counts as ended with status 0 of unknown origin: better than to wait for ever.
std::optional<ExitStatus> peek_end(pid_t pid) noexcept {
    siginfo_t info{};
    if (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
        return errno == ECHILD ? std::optional(ExitStatus{false, 0}) : std::nullopt;
    }
    if (info.si_pid == 0) {
        return std::nullopt;
    }
    return ExitStatus{info.si_code != CLD_EXITED, info.si_status};
}

bool reap(pid_t pid) noexcept {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG) == 0 &&
           info.si_pid == pid;
}

void kill_with_descendants(const ProcessInfo& process) {
    // The top first: what it starts meanwhile is found in the next round.
    signal_process(process, SIGKILL);
    each_descendant(process.pid, [](const ProcessInfo& info) { signal_process(info, SIGKILL); });
}

}  // namespace

ProcessTable::ProcessTable(const boost::asio::any_io_executor& executor)
    : child_signal_(executor, SIGCHLD), next_poll_(executor) {
    become_subreaper();
    // Asio's handler stays; with these flags it neither interrupts system calls of other threads
    // nor reports children that merely stopped.
    struct sigaction action {};
    ::sigaction(SIGCHLD, nullptr, &action);
    action.sa_flags |= SA_RESTART | SA_NOCLDSTOP;
    ::sigaction(SIGCHLD, &action, nullptr);
}

ProcessTable::~ProcessTable() {
    for (const auto& entry : entries_) {
        kill(*entry.run);
        entry.run->pump->drain_and_close();
        entry.run->stage = Run::Stage::forgotten;
        entry.run->changed.cancel();
    }
}

void ProcessTable::add(std::shared_ptr<Run> run, std::function<void(pid_t)> gone) {
    entries_.push_back({std::move(run), std::move(gone)});
    watch_children();
}

void ProcessTable::terminate(Run& run) noexcept {
    if (run.stage == Run::Stage::running) {
        run.terminated = true;
        ::kill(-run.main.pid, SIGTERM);
        ::kill(-run.main.pid, SIGCONT);  // a stopped process could not act on it
    }
}

void ProcessTable::kill(Run& run) noexcept {
    run.killed = true;
    if (run.stage == Run::Stage::running || run.stage == Run::Stage::sweeping) {
        kill_tree(run, reap_and_list_adopted().alive);
    }
}

void ProcessTable::abandon(const std::shared_ptr<Run>& run) noexcept {
    if (run->stage == Run::Stage::gone || run->abandoned) {
        return;
    }
    run->abandoned = true;
    run->give_up = Clock::now() + sweep_time;
    kill(*run);
    poll_later(first_pause);
}

void ProcessTable::watch_children() {
    if (watching_ || entries_.empty()) {
        return;
    }
    watching_ = true;  // only while there are runs, so that a loop with nothing to do can end
    child_signal_.async_wait(
        [weak = weak_from_this()](const boost::system::error_code& error, int) {
            if (const auto self = weak.lock()) {
                self->watching_ = false;
                if (!error) {
                    self->poll();
                }
                self->watch_children();  // a run may have come since it was cancelled
            }
        });
}

void ProcessTable::poll_later(Duration delay) {
    next_poll_.expires_after(delay);
    next_poll_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
        if (const auto self = weak.lock(); self && !error) {
            self->poll();
        }
    });
}

void ProcessTable::poll() {
    const auto now = Clock::now();
    notice_ends(now);
    const auto listing = reap_and_list_adopted();
    const bool again = sweep(now, listing);
    if (again) {
        // What still forks and ends must be caught between the two: at once. Else wait for the end
        // of what was killed, which SIGCHLD tells if it was handed to us.
        poll_later(listing.settled ? pause_ : Duration(0));
        pause_ = std::min(pause_ * 2, last_pause);
    } else {
        pause_ = first_pause;
    }
    if (entries_.empty()) {
        boost::system::error_code ignored;
        child_signal_.cancel(ignored);
    }
    watch_children();
}

void ProcessTable::notice_ends(TimePoint now) {
    for (const auto& [run, gone] : entries_) {
        if (run->stage != Run::Stage::running) {
            continue;
        }
        if (const auto status = peek_end(run->main.pid)) {
            run->status = *status;
            run->stage = Run::Stage::sweeping;
            run->spare_until = run->terminated ? now + spare_time : now;
            run->give_up = now + sweep_time;
            pause_ = first_pause;
        }
    }
}

ProcessTable::Listing ProcessTable::reap_and_list_adopted() {
    Listing out;
    const pid_t our_session = ::getsid(0);
    std::size_t looked_at = 0;
    for (const pid_t pid : children_of(::getpid())) {
        const bool is_main = std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) {
            return entry.run->main.pid == pid;
        });
        const auto info = is_main ? std::nullopt : read_process(pid);
        if (!info || info->session == our_session) {
            continue;
        }
        if (!info->ended()) {
            out.alive.push_back(attribute(*info));
        } else {
            reap(pid);
            out.settled = false;
        }
        if (++looked_at == adopted_per_turn_max) {
            out.settled = false;
            break;
        }
    }
    return out;
}

ProcessTable::Adopted ProcessTable::attribute(const ProcessInfo& info) const {
    const auto token = read_environment(info.pid, run_variable);
    Adopted out{info, nullptr, false};
    std::size_t candidates = 0;
    for (const auto& [run, gone] : entries_) {
        if (info.session == run->main.pid || info.group == run->main.pid || token == run->token) {
            out.owner = run.get();
            return out;
        }
        // Whoever cleared its environment can only descend from a run that was there before it.
        if (!token && run->main.start_ticks <= info.start_ticks) {
            ++candidates;
            out.owner = run.get();
        }
    }
    out.nobodys = candidates == 0;
    out.owner = candidates == 1 ? out.owner : nullptr;
    return out;
}

bool ProcessTable::sweep(TimePoint now, const Listing& listing) {
    const auto& adopted = listing.alive;
    bool again = kill_strays(now, adopted);
    std::vector<Entry> stay;
    std::vector<Entry> finished;
    for (auto& entry : entries_) {
        const Run& run = *entry.run;
        const bool swept = run.stage == Run::Stage::sweeping;
        const bool clean = swept && listing.settled &&
                           std::none_of(adopted.begin(), adopted.end(),
                                        [&](auto& other) { return other.owner == &run; });
        if (!swept && !run.abandoned) {
            stay.push_back(std::move(entry));
        } else if (!clean && now < run.give_up) {
            kill_rest(run, now, adopted);
            again = true;
            stay.push_back(std::move(entry));
        } else {
            finish(*entry.run, clean);
            finished.push_back(std::move(entry));
        }
    }
    entries_ = std::move(stay);
    for (const auto& entry : finished) {
        entry.gone(entry.run->main.pid);
    }
    return again;
}

bool ProcessTable::kill_strays(TimePoint now, const std::vector<Adopted>& adopted) {
    bool any = false;
    for (const auto& stray : adopted) {
        if (stray.nobodys) {
            kill_with_descendants(stray.info);
            any = true;
        }
    }
    if (!any) {
        strays_since_.reset();
    } else if (!strays_since_) {
        strays_since_ = now;
    }
    return any && now < *strays_since_ + sweep_time;
}

void ProcessTable::finish(Run& run, bool clean) {
    if (!clean) {
        spdlog::warn("processes of a model cannot be killed model={} pid={} after_s={}", run.model,
                     run.main.pid, sweep_time.count() / 1000);
    }
    reap(run.main.pid);
    run.pump->drain_and_close();
    run.stage = Run::Stage::gone;
    run.changed.cancel();
}

void ProcessTable::kill_rest(const Run& run, TimePoint now, const std::vector<Adopted>& adopted) {
    if (run.killed || now >= run.spare_until) {
        kill_tree(run, adopted);
        return;
    }
    for (const auto& other : adopted) {
        if (other.owner == &run && other.info.group != run.main.pid) {
            kill_with_descendants(other.info);
        }
    }
}

void ProcessTable::kill_tree(const Run& run, const std::vector<Adopted>& adopted) {
    // At once and with nobody slipping through by a fork: the group. The main process is not reaped
    // before the sweep has ended, so the number means this group and no other.
    ::kill(-run.main.pid, SIGKILL);
    each_descendant(run.main.pid, [](const ProcessInfo& info) { signal_process(info, SIGKILL); });
    for (const auto& other : adopted) {
        if (other.owner == &run) {
            kill_with_descendants(other.info);
        }
    }
}

}  // namespace corral
