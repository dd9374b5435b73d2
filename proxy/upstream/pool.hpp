#pragma once
// Few, briefly idle connections to the models' servers. llama-server spends a thread on each idle
// connection and drops it after 5 s, so ours are few and idle for less than 2 s. Only connections
// on which nothing unexpected was seen come back. Main loop only.

#include "core/time.hpp"
#include "proxy/http/wire.hpp"

#include <boost/asio/steady_timer.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

namespace corral {

class UpstreamPool {
public:
    explicit UpstreamPool(boost::asio::any_io_executor executor) : timer_(executor) {}

    /// An idle connection to this start of a model (Lease::generation()) on which nothing has
    /// happened since, or nothing. It may still break: then nothing was answered yet.
    [[nodiscard]] std::optional<http::Wire> take(std::uint64_t generation);
    /// Keeps a connection whose last exchange ended cleanly. Requires: nothing unread in it.
    void give(std::uint64_t generation, http::Wire wire);
    /// Closes them all.
    void clear();

    static constexpr std::size_t idle_per_model_max = 8;
    static constexpr Duration idle_max{1'500};

private:
    struct Idle {
        std::uint64_t generation;
        TimePoint since;
        http::Wire wire;
    };
    void drop_old(TimePoint now);
    void arm();

    boost::asio::steady_timer timer_;
    std::deque<Idle> idle_;  ///< oldest first
    bool armed_ = false;
};

}  // namespace corral
