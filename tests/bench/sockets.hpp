#pragma once
// What bench_load and bench_upstream share below HTTP: a clock, descriptors, loopback sockets and
// an event loop of one thread. Raw and non-blocking: a benchmark's tools must cost less than what
// they measure.

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace bench {

using Nanoseconds = std::int64_t;
constexpr Nanoseconds nanoseconds_a_second = 1'000'000'000;

/// The clock that all processes of the machine share.
inline Nanoseconds now() {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * nanoseconds_a_second + time.tv_nsec;
}

[[noreturn]] inline void fail(const std::string& what) {
    throw std::system_error(errno, std::generic_category(), what);
}

/// Owns a file descriptor.
class Descriptor {
public:
    Descriptor() = default;
    explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
    Descriptor(Descriptor&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        return *this;
    }
    ~Descriptor() {
        if (descriptor_ >= 0) {
            ::close(descriptor_);
        }
    }
    int get() const { return descriptor_; }

private:
    int descriptor_ = -1;
};

/// Epoll, level-triggered. A watcher may end itself while it is called, and nobody else.
class EventLoop {
public:
    class Watcher {
    public:
        virtual void on_ready(std::uint32_t events) = 0;

    protected:
        ~Watcher() = default;
    };

    EventLoop() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}

    void add(const Descriptor& descriptor, Watcher& watcher, std::uint32_t events) {
        control(EPOLL_CTL_ADD, descriptor, watcher, events);
    }
    void change(const Descriptor& descriptor, Watcher& watcher, std::uint32_t events) {
        control(EPOLL_CTL_MOD, descriptor, watcher, events);
    }

    /// Waits for events until a moment, and hands each to its watcher.
    void turn(Nanoseconds until) {
        const Nanoseconds left = std::max<Nanoseconds>(until - now(), 0);
        const timespec timeout{left / nanoseconds_a_second, left % nanoseconds_a_second};
        const int count = ::epoll_pwait2(epoll_.get(), events_.data(),
                                         static_cast<int>(events_.size()), &timeout, nullptr);
        if (count < 0 && errno != EINTR) {
            fail("epoll_pwait2");
        }
        for (int i = 0; i < count; ++i) {
            const epoll_event& event = events_[static_cast<std::size_t>(i)];
            static_cast<Watcher*>(event.data.ptr)->on_ready(event.events);
        }
    }

private:
    void control(int what, const Descriptor& descriptor, Watcher& watcher, std::uint32_t events) {
        epoll_event event{};
        event.events = events;
        event.data.ptr = &watcher;
        if (::epoll_ctl(epoll_.get(), what, descriptor.get(), &event) != 0) {
            fail("epoll_ctl");
        }
    }

    Descriptor epoll_;
    std::array<epoll_event, 512> events_{};
};

inline sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

inline Descriptor stream_socket() {
    Descriptor made(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (made.get() < 0) {
        fail("socket");
    }
    const int yes = 1;
    ::setsockopt(made.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    ::setsockopt(made.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    return made;
}

inline Descriptor listen_on(std::uint16_t port) {
    Descriptor made = stream_socket();
    const sockaddr_in address = loopback(port);
    const auto* const any = reinterpret_cast<const sockaddr*>(&address);
    if (::bind(made.get(), any, sizeof address) != 0 || ::listen(made.get(), 4096) != 0) {
        fail("listening on port " + std::to_string(port));
    }
    return made;
}

/// A connection that is being made; it is writable when it is there, or has failed.
inline Descriptor connect_to(std::uint16_t port) {
    Descriptor made = stream_socket();
    const sockaddr_in address = loopback(port);
    const auto* const any = reinterpret_cast<const sockaddr*>(&address);
    if (::connect(made.get(), any, sizeof address) != 0 && errno != EINPROGRESS) {
        fail("connecting to port " + std::to_string(port));
    }
    return made;
}

/// As many open files as this process may have at most.
inline void raise_file_limit() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

/// Bytes that the socket took; nothing: it is broken. No SIGPIPE.
inline bool send_some(const Descriptor& socket, std::string_view& bytes) {
    while (!bytes.empty()) {
        const ssize_t sent = ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0) {
            return errno == EAGAIN || errno == EINTR;
        }
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
}

}  // namespace bench
