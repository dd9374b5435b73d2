// The pump between a child's pipe and its ring. Main loop only; never blocks.

#include "supervisor/launch/output_pump.hpp"

#include "core/log.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace corral {
namespace {

constexpr std::size_t chunk_bytes = 16 * 1024;

}  // namespace

OutputPump::OutputPump(const boost::asio::any_io_executor& executor, int fd, std::string model,
                       OnOutputLine on_line)
    : pipe_(executor, fd), model_(std::move(model)), on_line_(std::move(on_line)) {
    ::fcntl(fd, F_SETFL, O_NONBLOCK);  // the child's end has flags of its own and keeps blocking
}

void OutputPump::start() {
    wait();
}

void OutputPump::wait() {
    pipe_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [self = shared_from_this()](const boost::system::error_code& error) {
                         if (error || !self->pipe_.is_open()) {
                             return;
                         }
                         if (self->read_some(turn_bytes_max) == Outcome::ended) {
                             self->close();
                         } else {
                             self->wait();
                             if (self->heard_) {
                                 self->heard_();
                             }
                         }
                     });
}

OutputPump::Outcome OutputPump::read_some(std::size_t bytes_max) {
    std::array<char, chunk_bytes> chunk;  // filled by read()
    Outcome outcome = Outcome::more;
    for (std::size_t total = 0; total < bytes_max && outcome == Outcome::more;) {
        const ssize_t n = ::read(pipe_.native_handle(), chunk.data(), chunk.size());
        if (n > 0) {
            ring_.append({chunk.data(), static_cast<std::size_t>(n)});
            total += static_cast<std::size_t>(n);
            hand_out_lines();  // before the ring has to drop any
        } else if (n == 0) {
            outcome = Outcome::ended;
        } else if (errno != EINTR) {
            outcome = errno == EAGAIN ? Outcome::empty : Outcome::ended;
        }
    }
    return outcome;
}

void OutputPump::drain_and_close() {
    if (pipe_.is_open()) {
        read_some(drain_bytes_max);
        close();
    }
}

void OutputPump::close() {
    boost::system::error_code ignored;
    pipe_.close(ignored);
    ring_.finish();
    hand_out_lines();
}

void OutputPump::hand_out_lines() {
    const bool logs = spdlog::should_log(spdlog::level::debug);
    if (logs || on_line_) {
        ring_.each_line_from(handed_out_, [&](std::uint64_t, std::string_view line) {
            if (on_line_) {
                on_line_(model_, line);
            }
            if (logs) {
                spdlog::debug("output model={} {}", model_, presentable_line(line, 8192));
            }
        });
    }
    handed_out_ = ring_.line_count();
}

}  // namespace corral
