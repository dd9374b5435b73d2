// Signals become events with their sender, and one `pkill` is one request to end.
#include "app/signals.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <exception>
#include <unistd.h>
#include <vector>

using corral::EndRequests;
using corral::SignalEvent;
using corral::SignalSource;

TEST_CASE("a signal that a process sends arrives with that process's id") {
    boost::asio::io_context loop;
    SignalSource source(loop.get_executor(), {SIGUSR1});
    std::vector<SignalEvent> seen;
    auto listen = [&]() -> boost::asio::awaitable<void> {
        const auto event = co_await source.next();
        if (event) {
            seen.push_back(*event);
        }
    };
    boost::asio::co_spawn(loop, listen(),
                          [](const std::exception_ptr& error) { CHECK_FALSE(error); });
    REQUIRE(kill(getpid(), SIGUSR1) == 0);
    loop.run_for(std::chrono::seconds(10));
    REQUIRE(seen.size() == 1);
    CHECK(seen[0].number == SIGUSR1);
    CHECK(seen[0].sender == getpid());
}

TEST_CASE("the same request through the guard and directly is one request") {
    EndRequests requests(100);
    CHECK(requests.count({SIGTERM, 7}) == 1);
    CHECK(requests.count({SIGTERM, 100}) == 1);
    CHECK(requests.count({SIGTERM, 100}) == 2);
}

TEST_CASE("without a guard every signal counts") {
    EndRequests requests(0);
    CHECK(requests.count({SIGTERM, 7}) == 1);
    CHECK(requests.count({SIGINT, 0}) == 2);
}
