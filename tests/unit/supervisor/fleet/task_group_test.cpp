// The group that every task belongs to: what was spawned is counted, cancelled and joined.
#include "supervisor/fleet/task_group.hpp"

#include "supervisor/fleet/wakeup.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <stdexcept>
#include <utility>

using namespace corral;
namespace asio = boost::asio;
using std::chrono_literals::operator""s;

namespace {

TimePoint in(Duration from_now) {
    return Clock::now() + from_now;
}

asio::awaitable<void> wait_then_note(std::shared_ptr<Wakeup> wakeup, std::shared_ptr<int> woken) {
    const Woken why = co_await wakeup->wait(in(20s));
    *woken += why == Woken::notified ? 1 : 100;
}

asio::awaitable<void> throw_at_once() {
    throw std::runtime_error("escaped");
    co_return;
}

asio::awaitable<void> join_and_store(TaskGroup& group, TimePoint deadline, bool& joined) {
    joined = co_await group.join(deadline);
}

void run(asio::io_context& io) {
    io.restart();
    io.run_for(20s);
}

}  // namespace

TEST_CASE("spawn never runs the task inside the call, so the caller may be mid-change") {
    asio::io_context io;
    TaskGroup group(io.get_executor());
    auto wakeup = std::make_shared<Wakeup>(io.get_executor());
    auto woken = std::make_shared<int>(0);
    asio::post(io, [&] {
        group.spawn("a", wait_then_note(wakeup, woken));
        wakeup->notify_all();  // too early for a task that has not begun
        CHECK(group.size() == 1);
    });
    io.run_for(Duration(1));
    CHECK(*woken == 0);
    wakeup->notify_all();
    run(io);
    CHECK(*woken == 1);
    CHECK(group.size() == 0);
}

TEST_CASE("cancel_all reaches every task, those that have not begun included, and join sees it") {
    asio::io_context io;
    TaskGroup group(io.get_executor());
    auto wakeup = std::make_shared<Wakeup>(io.get_executor());
    auto woken = std::make_shared<int>(0);
    group.spawn("a", wait_then_note(wakeup, woken));
    group.spawn("b", wait_then_note(wakeup, woken));
    io.run_for(Duration(1));
    group.spawn("late", wait_then_note(wakeup, woken));
    group.cancel_all();
    bool joined = false;
    asio::co_spawn(io, join_and_store(group, in(20s), joined), asio::use_future);
    run(io);
    CHECK(joined);
    CHECK(*woken == 200);  // two cancelled in their wait, the third never ran
    CHECK(group.size() == 0);
}

TEST_CASE("join gives up at its deadline and says that something is left") {
    asio::io_context io;
    TaskGroup group(io.get_executor());
    auto wakeup = std::make_shared<Wakeup>(io.get_executor());
    auto woken = std::make_shared<int>(0);
    group.spawn("a", wait_then_note(wakeup, woken));
    bool joined = true;
    auto done =
        asio::co_spawn(io, join_and_store(group, in(Duration(5)), joined), asio::use_future);
    while (done.wait_for(0s) != std::future_status::ready) {
        io.run_one_for(20s);
    }
    CHECK_FALSE(joined);
    CHECK(group.size() == 1);
    group.cancel_all();
    run(io);
    CHECK(group.size() == 0);
}

TEST_CASE("an exception that escapes a task ends that task only") {
    asio::io_context io;
    TaskGroup group(io.get_executor());
    auto wakeup = std::make_shared<Wakeup>(io.get_executor());
    auto woken = std::make_shared<int>(0);
    group.spawn("bad", throw_at_once());
    group.spawn("good", wait_then_note(wakeup, woken));
    io.run_for(Duration(1));
    CHECK(group.size() == 1);
    wakeup->notify_all();
    run(io);
    CHECK(*woken == 1);
}

TEST_CASE("a group may go before its tasks: they are cancelled and end later") {
    asio::io_context io;
    auto wakeup = std::make_shared<Wakeup>(io.get_executor());
    auto woken = std::make_shared<int>(0);
    {
        TaskGroup group(io.get_executor());
        group.spawn("a", wait_then_note(wakeup, woken));
        io.run_for(Duration(1));
    }
    run(io);
    CHECK(*woken == 100);
}

TEST_CASE("a Wakeup that is destroyed lets its waiters go as cancelled") {
    asio::io_context io;
    auto wakeup = std::make_unique<Wakeup>(io.get_executor());
    auto result = asio::co_spawn(io, wakeup->wait(in(20s)), asio::use_future);
    io.run_for(Duration(1));
    wakeup.reset();
    run(io);
    CHECK(result.get() == Woken::cancelled);
}
