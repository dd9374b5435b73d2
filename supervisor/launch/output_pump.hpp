#pragma once
// Reads what a child writes, for ever and as fast as it comes, so that a full pipe never stops it,
// and keeps the last of it in an OutputRing. Owned by a Run; main thread, on the main loop. Never
// reads more than 64 KiB a turn, so that one child's flood delays nobody.

#include "supervisor/launch/launcher.hpp"
#include "supervisor/launch/output_ring.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace corral {

class OutputPump : public std::enable_shared_from_this<OutputPump> {
public:
    static constexpr std::size_t turn_bytes_max = 64 * 1024;
    static constexpr std::size_t drain_bytes_max = 1024 * 1024;

    /// Takes over `fd`, the read end of a pipe. `on_line` (which may be empty) gets every line, and
    /// the debug log does while that level is on.
    OutputPump(const boost::asio::any_io_executor& executor, int fd, std::string model,
               OnOutputLine on_line);

    /// Begins to read. Keeps itself alive until the pipe's end or close().
    void start();
    /// Reads what is in the pipe now, at most drain_bytes_max, and closes it, whoever holds the
    /// other end. For when every writer that counts has ended.
    void drain_and_close();

    /// Called after each turn that has read something.
    void on_output(std::function<void()> heard) { heard_ = std::move(heard); }

    [[nodiscard]] const OutputRing& ring() const noexcept { return ring_; }

private:
    enum class Outcome { more, empty, ended };
    void wait();
    Outcome read_some(std::size_t bytes_max);
    void hand_out_lines();
    void close();

    boost::asio::posix::stream_descriptor pipe_;
    std::string model_;
    OnOutputLine on_line_;
    OutputRing ring_;
    std::uint64_t handed_out_ = 0;  ///< sequence number of the next line to hand out
    std::function<void()> heard_;
};

}  // namespace corral
