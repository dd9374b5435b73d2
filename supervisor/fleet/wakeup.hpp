#pragma once
// Waiting for something that another coroutine of the same loop will do. A broadcast: whoever waits
// when notify_all() is called goes on. One executor, one thread; never used across threads.

#include "core/time.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include <list>
#include <memory>

namespace corral {

/// Why a wait ended.
enum class Woken : std::uint8_t { notified, deadline, cancelled };

class Wakeup {
public:
    explicit Wakeup(boost::asio::any_io_executor executor);
    Wakeup(const Wakeup&) = delete;
    Wakeup& operator=(const Wakeup&) = delete;

    /// Lets everyone go on who waits now; their coroutines resume from the loop, not from here.
    void notify_all();

    /// Waits for the next notify_all(), at most until `deadline`. A cancellation that arrives
    /// meanwhile (and that the caller's filter lets through) is a value, `cancelled`; after it the
    /// caller's next await throws, as everywhere in Asio. The Wakeup may be destroyed meanwhile;
    /// the wait then ends as `cancelled`, too.
    [[nodiscard]] boost::asio::awaitable<Woken> wait(TimePoint deadline);

    ~Wakeup();

private:
    struct Waiter;
    struct State;
    static boost::asio::awaitable<Woken> wait_on(std::shared_ptr<State> state, TimePoint deadline);
    std::shared_ptr<State> state_;
};

}  // namespace corral
