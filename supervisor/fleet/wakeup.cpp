#include "supervisor/fleet/wakeup.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <utility>

namespace corral {

namespace asio = boost::asio;

struct Wakeup::Waiter {
    explicit Waiter(const asio::any_io_executor& executor) : timer(executor) {}
    asio::steady_timer timer;
    bool notified = false;
};

struct Wakeup::State {
    explicit State(asio::any_io_executor e) : executor(std::move(e)) {}
    asio::any_io_executor executor;
    std::list<Waiter*> waiters;  // each lives in the frame of its wait_on()
};

namespace {

/// Takes a waiter off the list however its coroutine ends, destruction of the loop included.
template <class List>
class Entry {
public:
    Entry(List& list, typename List::value_type value)
        : list_(list), at_(list.insert(list.end(), value)) {}
    ~Entry() { list_.erase(at_); }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

private:
    List& list_;
    typename List::iterator at_;
};

}  // namespace

Wakeup::Wakeup(asio::any_io_executor executor)
    : state_(std::make_shared<State>(std::move(executor))) {}

Wakeup::~Wakeup() {
    for (Waiter* waiter : state_->waiters) {
        waiter->timer.cancel();
    }
}

void Wakeup::notify_all() {
    for (Waiter* waiter : state_->waiters) {
        waiter->notified = true;
        waiter->timer.cancel();
    }
}

asio::awaitable<Woken> Wakeup::wait(TimePoint deadline) {
    return wait_on(state_, deadline);
}

asio::awaitable<Woken> Wakeup::wait_on(std::shared_ptr<State> state, TimePoint deadline) {
    Waiter waiter(state->executor);
    const Entry entry(state->waiters, &waiter);
    waiter.timer.expires_at(deadline);
    const auto [failed] = co_await waiter.timer.async_wait(asio::as_tuple(asio::use_awaitable));
    if (waiter.notified) {
        co_return Woken::notified;
    }
    co_return failed ? Woken::cancelled : Woken::deadline;
}

}  // namespace corral
