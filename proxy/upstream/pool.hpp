#pragma once
// Idle connections to upstreams, kept for the next request. Of a model's own server there are few
// and briefly: llama-server spends a thread on each idle connection and drops it after 5 s. Peers
// are servers for many and get a full pool. Only connections on which nothing unexpected was seen
// come back. Main loop only.

#include "core/time.hpp"
#include "proxy/http/wire.hpp"

#include <boost/asio/steady_timer.hpp>

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <utility>

namespace corral {

/// Whose connections they are. Equal keys mean the same server, so a connection fits both.
class PoolKey {
public:
    /// One start of a model (Lease::generation()): another start is another process.
    explicit PoolKey(std::uint64_t generation) : generation_(generation) {}
    /// One address, scheme and host name included: what a reload moves elsewhere has another one.
    explicit PoolKey(std::string address) : address_(std::move(address)) {}

    friend bool operator==(const PoolKey&, const PoolKey&) = default;

private:
    std::uint64_t generation_ = 0;
    std::string address_;
};

/// How many connections with the same key are kept idle, and how long.
struct PoolRule {
    std::size_t idle_max = 8;
    Duration idle_for{1'500};  ///< Duration::max(): for ever
    bool watched = false;      ///< drops one as soon as the server ends it: for long lives
    /// So many are kept for `brief`, whatever idle_max says: of requests that come one after the
    /// other on many connections each would otherwise connect anew.
    std::size_t burst_max = 0;
};

/// For models' own servers.
inline constexpr PoolRule model_pool_rule{8, Duration(1'500), false, 256};

class UpstreamPool {
    struct NewConnection;

public:
    explicit UpstreamPool(boost::asio::any_io_executor executor) : timer_(executor) {}

    /// An idle connection with this key on which nothing has happened since, or nothing. It may
    /// still break: then nothing was answered yet.
    [[nodiscard]] std::optional<http::Wire> take(const PoolKey& key);
    /// Keeps a connection whose last exchange ended cleanly. Requires: nothing unread in it. When
    /// there are too many with this key the oldest goes.
    void give(const PoolKey& key, http::Wire wire, PoolRule rule = {});

    /// A new connection on which the first answer is awaited. Its server may have a thread for each
    /// connection and none left: when nothing was heard for longer than `brief`, no idle connection
    /// is kept that could have one. Outlived by the pool and the connection, which stays in place.
    class Waiting {
    public:
        Waiting() = default;
        Waiting(UpstreamPool& pool, const PoolKey& key, const http::Wire& wire);
        Waiting(Waiting&&) = delete;
        ~Waiting() { end(); }
        void end() noexcept;

    private:
        friend class UpstreamPool;
        UpstreamPool* pool_ = nullptr;
        std::list<NewConnection>::iterator at_;
    };
    /// Closes those with this key.
    void forget(const PoolKey& key);
    /// Closes them all.
    void clear();
    /// How many there are.
    [[nodiscard]] std::size_t size() const noexcept { return idle_.size(); }

    static constexpr Duration brief{50};

private:
    struct Idle {
        PoolKey key;
        TimePoint since;
        std::uint64_t number;
        PoolRule rule;
        http::Wire wire;
        [[nodiscard]] TimePoint until() const noexcept;
    };
    struct NewConnection {
        PoolKey key;
        TimePoint since;
        const http::Wire* wire;
        Waiting* whose;
    };

    void drop_old(TimePoint now);
    void forget_heard();
    [[nodiscard]] bool starves(const PoolKey& key, TimePoint now) const;
    [[nodiscard]] TimePoint next_look(TimePoint now) const;
    void arm(TimePoint until);
    void watch(std::uint64_t number);

    boost::asio::steady_timer timer_;
    std::list<Idle> idle_;  ///< oldest first
    std::list<NewConnection> waiting_;
    TimePoint armed_for_ = TimePoint::max();  ///< none of them is older before this
    std::uint64_t numbers_ = 0;
};

}  // namespace corral
