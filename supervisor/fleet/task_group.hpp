#pragma once
// The tasks that one owner has started, so that shutdown can cancel and join them: Corral's
// replacement for `detached`. One executor, one thread; a group is not shared between threads.

#include "core/time.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <memory>
#include <string>

namespace corral {

class TaskGroup {
public:
    explicit TaskGroup(boost::asio::any_io_executor executor);
    TaskGroup(const TaskGroup&) = delete;
    TaskGroup& operator=(const TaskGroup&) = delete;
    /// Cancels what still runs, without waiting: join() first when the tasks borrow anything.
    ~TaskGroup();

    /// Starts a task from the loop (never inside this call). `name` is for the log, where an
    /// exception that escapes the task ends up; the loop goes on.
    void spawn(std::string name, boost::asio::awaitable<void> task);

    /// Emits terminal cancellation to every task that runs now, each through a signal of its own.
    /// A task whose first piece has not run yet never begins.
    void cancel_all();

    /// Waits until no task is left or `deadline` has passed; true when none is left.
    [[nodiscard]] boost::asio::awaitable<bool> join(TimePoint deadline);

    /// Tasks that have not ended.
    [[nodiscard]] std::size_t size() const noexcept;

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace corral
