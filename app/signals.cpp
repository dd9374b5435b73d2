#include "app/signals.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <sys/signalfd.h>
#include <system_error>

namespace corral {
namespace {

namespace asio = boost::asio;

int open_signals(std::initializer_list<int> signals) {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : signals) {
        sigaddset(&set, number);
    }
    if (sigprocmask(SIG_BLOCK, &set, nullptr) != 0) {
        throw std::system_error(errno, std::generic_category(), "sigprocmask");
    }
    const int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) {
        throw std::system_error(errno, std::generic_category(), "signalfd");
    }
    return fd;
}

}  // namespace

SignalSource::SignalSource(asio::any_io_executor executor, std::initializer_list<int> signals)
    : descriptor_(executor, open_signals(signals)) {}

asio::awaitable<std::optional<SignalEvent>> SignalSource::next() {
    signalfd_siginfo info{};
    const asio::mutable_buffer target(&info, sizeof info);
    const auto [ec, n] =
        co_await asio::async_read(descriptor_, target, asio::as_tuple(asio::use_awaitable));
    if (ec || n != sizeof info) {
        co_return std::nullopt;
    }
    SignalEvent event;
    event.number = static_cast<int>(info.ssi_signo);
    event.sender = static_cast<pid_t>(info.ssi_pid);
    co_return event;
}

int EndRequests::count(const SignalEvent& event) noexcept {
    ++(guard_ != 0 && event.sender == guard_ ? forwarded_ : direct_);
    return std::max(forwarded_, direct_);
}

}  // namespace corral
