#pragma once
// The signals that ask the server for something, as events of the loop with their sender
// (signalfd(2)): Asio's signal_set does not tell who sent one. Main thread, before any other
// thread.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <initializer_list>
#include <optional>
#include <sys/types.h>

namespace corral {

struct SignalEvent {
    int number = 0;
    pid_t sender = 0;  ///< 0 when the kernel sent it (a terminal's Ctrl-C)
};

class SignalSource {
public:
    /// Blocks the signals and takes them from then on. Throws std::system_error when it cannot.
    SignalSource(boost::asio::any_io_executor executor, std::initializer_list<int> signals);

    /// The next one; nullopt when the wait was cancelled.
    [[nodiscard]] boost::asio::awaitable<std::optional<SignalEvent>> next();

private:
    boost::asio::posix::stream_descriptor descriptor_;
};

/// How often somebody has asked for the end. `pkill corral` reaches the guard, which forwards it,
/// and the server: that is once, not twice.
class EndRequests {
public:
    explicit EndRequests(pid_t guard) : guard_(guard) {}
    /// Counts one and gives how often the end was asked for so far.
    int count(const SignalEvent& event) noexcept;

private:
    pid_t guard_;
    int forwarded_ = 0;
    int direct_ = 0;
};

}  // namespace corral
