#include "supervisor/fleet/task_group.hpp"

#include "core/log.hpp"
#include "supervisor/fleet/wakeup.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>

#include <exception>
#include <list>
#include <utility>
#include <vector>

namespace corral {

namespace asio = boost::asio;

namespace {

struct Task {
    std::string name;
    asio::cancellation_signal signal;
    bool cancelled = false;
};

void log_escaped(const std::string& name, const std::exception_ptr& escaped) {
    try {
        std::rethrow_exception(escaped);
    } catch (const boost::system::system_error& error) {
        // What a cancelled coroutine throws at its next await: the ordinary end of cancel_all().
        if (error.code() == asio::error::operation_aborted) {
            spdlog::debug("task=\"{}\" cancelled", log::clean(name));
            return;
        }
        spdlog::error("task=\"{}\" ended by an exception: {}", log::clean(name),
                      log::clean(error.what()));
    } catch (const std::exception& error) {
        spdlog::error("task=\"{}\" ended by an exception: {}", log::clean(name),
                      log::clean(error.what()));
    } catch (...) {
        spdlog::error("task=\"{}\" ended by an exception of unknown type", log::clean(name));
    }
}

}  // namespace

/// Shared with the completion handlers, which may run after the group is gone.
struct TaskGroup::State {
    explicit State(asio::any_io_executor e) : executor(std::move(e)), ended(executor) {}
    asio::any_io_executor executor;
    Wakeup ended;
    std::list<std::shared_ptr<Task>> tasks;
};

TaskGroup::TaskGroup(asio::any_io_executor executor)
    : state_(std::make_shared<State>(std::move(executor))) {}

TaskGroup::~TaskGroup() {
    cancel_all();
}

void TaskGroup::spawn(std::string name, asio::awaitable<void> task) {
    auto entry = std::make_shared<Task>();
    entry->name = std::move(name);
    const auto at = state_->tasks.insert(state_->tasks.end(), entry);
    auto on_end = [state = state_, at](const std::exception_ptr& escaped) {
        const std::shared_ptr<Task> ended = *at;
        state->tasks.erase(at);
        if (escaped) {
            log_escaped(ended->name, escaped);
        }
        if (ended->cancelled) {
            // Outside the loop, emit() only posts the cancellation, with a plain pointer into the
            // signal [measured, ASan, Boost 1.81]: the signal must outlive what was posted before.
            asio::post(state->executor, [ended] {});
        }
        if (state->tasks.empty()) {
            state->ended.notify_all();
        }
    };
    // co_spawn runs the first piece at once when it is called from the executor's own thread; the
    // caller may be in the middle of a state change, so the start is posted.
    asio::post(state_->executor, [state = state_, entry, task = std::move(task),
                                  on_end = std::move(on_end)]() mutable {
        if (entry->cancelled) {
            on_end(nullptr);
            return;
        }
        asio::co_spawn(state->executor, std::move(task),
                       asio::bind_cancellation_slot(entry->signal.slot(), std::move(on_end)));
    });
}

void TaskGroup::cancel_all() {
    // A task may end, and leave the list, while its signal is being emitted: hold them all.
    const std::vector<std::shared_ptr<Task>> running(state_->tasks.begin(), state_->tasks.end());
    for (const std::shared_ptr<Task>& task : running) {
        task->cancelled = true;
        task->signal.emit(asio::cancellation_type::terminal);
    }
}

asio::awaitable<bool> TaskGroup::join(TimePoint deadline) {
    const std::shared_ptr<State> state = state_;
    while (!state->tasks.empty()) {
        const Woken woken = co_await state->ended.wait(deadline);
        if (woken != Woken::notified) {
            break;
        }
    }
    co_return state->tasks.empty();
}

std::size_t TaskGroup::size() const noexcept {
    return state_->tasks.size();
}

}  // namespace corral
