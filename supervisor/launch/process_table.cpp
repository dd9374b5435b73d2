// The reaper and the killer of trees. Main loop only. Every launch calls setsid(), so a child of
// ours in another session descends from a launch, and one in our session is somebody else's.

#include "supervisor/launch/process_table.hpp"

#include "core/log.hpp"
#include "supervisor/launch/child_environment.hpp"
#include "supervisor/launch/guard.hpp"
#include "supervisor/launch/memory_use.hpp"
#include "supervisor/launch/port_owner.hpp"

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

/// Who has started Corral, directly or not: no leftover of an earlier run, but there on purpose.
bool is_ancestor(pid_t pid) noexcept {
    constexpr int generations_max = 64;
    auto info = read_process(::getpid());
    for (int i = 0; info && info->parent > 1 && i < generations_max; ++i) {
        if (info->parent == pid) {
            return true;
        }
        info = read_process(info->parent);
    }
    return false;
}

void kill_with_descendants(const ProcessInfo& process) {
    // The top first: what it starts meanwhile is found in the next round.
    signal_process(process, SIGKILL);
    each_descendant(process.pid, [](const ProcessInfo& info) { signal_process(info, SIGKILL); });
}

/// Who ended it: what a signal number alone cannot tell.
void find_out_who(const Run& run, ExitStatus& status) {
    if (run.memory_had != 0) {
        status.ending = Ending::memory_limit;
        status.memory_limit = run.memory_limit;
        status.memory_bytes = run.memory_had;
        return;
    }
    if (!status.signaled || status.value != SIGKILL) {
        return;
    }
    if (run.cgroup && run.cgroup->oom_kills() > 0) {
        const bool own_limit = run.memory_limit != 0 && run.cgroup->limit_reached() > 0;
        status.ending = own_limit ? Ending::memory_limit : Ending::oom_killer;
        status.memory_limit = own_limit ? run.memory_limit : 0;
        status.memory_bytes = own_limit ? run.cgroup->peak() : 0;
    } else if (!run.killed) {
        const auto kills = oom_kills_so_far();
        const bool oom = kills && run.oom_kills && *kills > *run.oom_kills;
        status.ending = oom ? Ending::oom_killer : Ending::killed;
    }
}

}  // namespace

ProcessTable::ProcessTable(const boost::asio::any_io_executor& executor)
    : executor_(executor), child_signal_(executor, SIGCHLD), next_poll_(executor) {
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

void ProcessTable::watch_memory(const std::shared_ptr<Run>& run) {
    const std::weak_ptr<ProcessTable> table = weak_from_this();
    const std::weak_ptr<Run> watched = run;
    const auto members = [table, watched]() -> std::vector<pid_t> {
        const auto self = table.lock();
        const auto its = watched.lock();
        return self && its ? self->members_of(*its) : std::vector<pid_t>();
    };
    const auto exceeded = [table, watched](std::uint64_t had) {
        const auto self = table.lock();
        const auto its = watched.lock();
        if (self && its && its->memory_had == 0 && its->stage == Run::Stage::running) {
            its->memory_had = had;
            self->kill(*its);
        }
    };
    run->memory_watch =
        std::make_shared<MemoryWatch>(executor_, run->memory_limit, members, exceeded);
    run->memory_watch->start();
}

std::vector<pid_t> ProcessTable::members_of(const Run& run) {
    std::vector<pid_t> out{run.main.pid};
    const auto add = [&out](const ProcessInfo& info) { out.push_back(info.pid); };
    each_descendant(run.main.pid, add);
    for (const auto& other : reap_and_list_adopted().alive) {
        if (other.owner == &run) {
            add(other.info);
            each_descendant(other.info.pid, add);
        }
    }
    return out;
}

Listener ProcessTable::listener_of(const Run& run, std::uint16_t port) {
    const auto sockets = listening_sockets(port);
    if (sockets.empty() || run.stage != Run::Stage::running) {
        return {};
    }
    const auto members = members_of(run);
    if (holder_of(sockets, members) != 0) {
        return {ListenerOwner::ours};
    }
    return judge_holder(run, holder_of(sockets, all_process_ids()), members);
}

Listener ProcessTable::listener_of(const Run& run, const std::string& path) {
    const auto pid = holder_of_socket_file(path);
    if (!pid || run.stage != Run::Stage::running) {
        return {};
    }
    const auto members = members_of(run);
    if (std::find(members.begin(), members.end(), *pid) != members.end()) {
        return {ListenerOwner::ours};
    }
    return judge_holder(run, *pid, members);
}

/// Of one that was not found to be ours.
Listener ProcessTable::judge_holder(const Run& run, pid_t pid,
                                    const std::vector<pid_t>& members) const {
    const auto is_member = [&](pid_t one) {
        return std::find(members.begin(), members.end(), one) != members.end();
    };
    const auto holder = read_process(pid);
    if (!holder || is_member(holder->pid) || is_ancestor(holder->pid)) {
        return {};
    }
    // What came after it may well be its doing, by way of a service: a container's port.
    const auto token = read_environment(holder->pid, run_variable);
    const bool of_another =
        token && std::any_of(entries_.begin(), entries_.end(),
                             [&](auto& entry) { return entry.run->token == *token; });
    if (!of_another && holder->start_ticks >= run.main.start_ticks) {
        return {};
    }
    return {ListenerOwner::foreign, holder->pid, process_name(holder->pid)};
}

void ProcessTable::terminate(Run& run) noexcept {
    if (run.stage != Run::Stage::running) {
        return;
    }
    run.terminated = true;
    const auto tell = [&run](const ProcessInfo& info) {
        if (info.group != run.main.pid) {  // the group is told as one, once
            signal_process(info, SIGTERM);
            signal_process(info, SIGCONT);  // a stopped process could not act on it
        }
    };
    // Before the group: when a wrapper has ended, its children are no descendants of it any more.
    each_descendant(run.main.pid, tell);
    for (const auto& other : reap_and_list_adopted().alive) {
        if (other.owner == &run) {
            tell(other.info);
            each_descendant(other.info.pid, tell);
        }
    }
    ::kill(-run.main.pid, SIGTERM);
    ::kill(-run.main.pid, SIGCONT);
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
            find_out_who(*run, run->status);
            if (run->memory_watch) {
                run->memory_watch->stop();
            }
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
    run.cgroup.reset();
    run.stage = Run::Stage::gone;
    run.changed.cancel();
}

void ProcessTable::kill_rest(const Run& run, TimePoint now, const std::vector<Adopted>& adopted) {
    if (run.killed || now >= run.spare_until) {
        kill_tree(run, adopted);
    }
}

void ProcessTable::kill_tree(const Run& run, const std::vector<Adopted>& adopted) {
    if (run.cgroup) {
        run.cgroup->kill();
    }
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
