#pragma once
// Looks at the memory of one process tree from time to time and says when it has more than its
// limit. One a run that has a limit and no cgroup that enforces it; main loop only. Ends nothing.

#include "core/time.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <sys/types.h>
#include <vector>

namespace corral {

class MemoryWatch : public std::enable_shared_from_this<MemoryWatch> {
public:
    /// Who belongs to the tree now.
    using Members = std::function<std::vector<pid_t>()>;
    /// Called at every look that finds more than the limit, with what there was.
    using Exceeded = std::function<void(std::uint64_t)>;
    /// Finding out who belongs to it costs a file a thread, so that is done so often only.
    static constexpr Duration listing_interval = Duration(2'000);

    MemoryWatch(const boost::asio::any_io_executor& executor, std::uint64_t limit, Members members,
                Exceeded exceeded);
    /// Looks now, and again until stop() or its end.
    void start();
    void stop() noexcept;

private:
    void look();
    [[nodiscard]] std::uint64_t measure(TimePoint now);

    boost::asio::steady_timer timer_;
    const std::uint64_t limit_;
    Members members_;
    Exceeded exceeded_;
    std::vector<pid_t> known_;
    TimePoint listed_{};
    TimePoint looked_{};
    std::uint64_t used_ = 0;
    bool stopped_ = false;
};

}  // namespace corral
