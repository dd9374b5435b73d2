#pragma once
// One accepted connection of a fake engine: reads requests, writes bytes, waits between tokens
// without losing sight of the peer. Used by one thread; blocks. Also the two files in which a fake
// engine tells a test what it saw (append-only; any thread).

#include "tests/fake_engine/options.hpp"

#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fake {

/// An append-only file that takes whole pieces; does nothing when the path is empty.
class Notes {
public:
    explicit Notes(const std::string& path);
    void append(std::string_view bytes);

private:
    std::mutex mutex_;
    int fd_ = -1;
};

struct Request {
    std::string method, target, version;
    std::vector<std::pair<std::string, std::string>> fields;
    std::string body;
    bool keep_alive = true;

    /// The first field of this name (case ignored), or an empty text.
    [[nodiscard]] std::string field(std::string_view name) const;
};

class Connection {
public:
    Connection(int fd, const Options& options, int gate_fd, Notes& record, Notes& events);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// Reads one head. False: the peer closed or sent no HTTP.
    bool read_head(Request& request);
    /// Reads the body by Content-Length or chunked, recording it as it comes. False: cut off.
    bool read_body(Request& request);
    /// Sends everything. False: the peer has gone (an event tells so).
    bool send_all(std::string_view bytes);
    /// Waits for one byte from the gate, or for the interval. False: the peer has gone.
    bool pace();
    /// Sends back what comes, until the peer ends its side. Nothing of it is recorded.
    void echo();
    /// Waits until the peer closes.
    void wait_for_close();
    /// Ends the sending side and reads what the peer still sends, for at most two seconds.
    void close_politely();

private:
    bool receive();
    bool take(std::size_t count, std::string& out, bool recording);
    bool take_line(std::string& out, bool recording);
    void gone();

    int fd_;
    const Options& options_;
    int gate_fd_;
    Notes& record_;
    Notes& events_;
    std::string in_;
    bool recording_ = false;
};

}  // namespace fake
