// A fake engine's side of one connection, with plain blocking sockets. See connection.hpp.

#include "tests/fake_engine/connection.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace fake {
namespace {

bool same_name(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
        return std::tolower(static_cast<unsigned char>(x)) ==
               std::tolower(static_cast<unsigned char>(y));
    });
}

std::string trimmed(std::string text) {
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) {
        text.pop_back();
    }
    text.erase(0, text.find_first_not_of(" \t"));
    return text;
}

bool parse_head(const std::string& head, Request& request) {
    const auto line_end = head.find("\r\n");
    const std::string line = head.substr(0, line_end);
    const auto first = line.find(' ');
    const auto last = line.rfind(' ');
    if (first == std::string::npos || first == last) {
        return false;
    }
    request.method = line.substr(0, first);
    request.target = line.substr(first + 1, last - first - 1);
    request.version = line.substr(last + 1);
    std::size_t at = line_end + 2;
    while (at + 2 < head.size()) {
        const auto end = head.find("\r\n", at);
        const std::string field = head.substr(at, end - at);
        at = end + 2;
        if (const auto colon = field.find(':'); colon != std::string::npos) {
            request.fields.emplace_back(field.substr(0, colon), trimmed(field.substr(colon + 1)));
        }
    }
    request.keep_alive = !same_name(request.field("Connection"), "close");
    return true;
}

}  // namespace

Notes::Notes(const std::string& path) {
    if (!path.empty()) {
        fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    }
}

void Notes::append(std::string_view bytes) {
    const std::lock_guard lock(mutex_);
    while (fd_ >= 0 && !bytes.empty()) {
        const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
        if (n <= 0) {
            return;
        }
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
}

std::string Request::field(std::string_view name) const {
    for (const auto& [key, value] : fields) {
        if (same_name(key, name)) {
            return value;
        }
    }
    return {};
}

Connection::Connection(int fd, const Options& options, int gate_fd, Notes& record, Notes& events)
    : fd_(fd), options_(options), gate_fd_(gate_fd), record_(record), events_(events) {}

Connection::~Connection() {
    if (recording_) {
        record_.append(in_);  // what came and was never asked for is what a smuggler sent
    }
    ::close(fd_);
}

bool Connection::receive() {
    char piece[65536];
    for (;;) {
        const ssize_t n = ::recv(fd_, piece, sizeof piece, 0);
        if (n > 0) {
            in_.append(piece, static_cast<std::size_t>(n));
            return true;
        }
        if (n == 0 || errno != EINTR) {
            return false;
        }
    }
}

bool Connection::read_head(Request& request) {
    recording_ = true;
    std::size_t end = 0;
    while ((end = in_.find("\r\n\r\n")) == std::string::npos) {
        if (!receive()) {
            return false;
        }
    }
    const std::string head = in_.substr(0, end + 4);
    in_.erase(0, end + 4);
    if (!parse_head(head, request)) {
        record_.append(head);
        return false;
    }
    const bool probe = request.target == "/health";
    recording_ = !probe;
    if (!probe) {
        record_.append(head);
        events_.append("request " + request.method + " " + request.target + "\n");
    }
    return true;
}

bool Connection::take(std::size_t count, std::string& out, bool recording) {
    while (in_.size() < count) {
        if (!receive()) {
            return false;
        }
    }
    out.append(in_, 0, count);
    if (recording) {
        record_.append(std::string_view(in_).substr(0, count));
    }
    in_.erase(0, count);
    return true;
}

bool Connection::take_line(std::string& out, bool recording) {
    std::size_t end = 0;
    while ((end = in_.find("\r\n")) == std::string::npos) {
        if (!receive()) {
            return false;
        }
    }
    out.clear();
    if (!take(end + 2, out, recording)) {
        return false;
    }
    out.resize(end);
    return true;
}

bool Connection::read_body(Request& request) {
    if (same_name(request.field("Expect"), "100-continue") && in_.empty() &&
        !send_all("HTTP/1.1 100 Continue\r\n\r\n")) {
        return false;
    }
    if (same_name(request.field("Transfer-Encoding"), "chunked")) {
        std::string line;
        std::string ignored;
        for (;;) {
            if (!take_line(line, recording_)) {
                return false;
            }
            const auto size = std::strtoul(line.c_str(), nullptr, 16);
            if (size == 0) {
                break;
            }
            if (!take(size, request.body, recording_) || !take(2, ignored, recording_)) {
                return false;
            }
        }
        do {  // trailers, then the empty line
            if (!take_line(line, recording_)) {
                return false;
            }
        } while (!line.empty());
        return true;
    }
    const auto length = std::strtoul(request.field("Content-Length").c_str(), nullptr, 10);
    // Piece by piece, so that a test sees an upload arrive while it is still under way.
    while (request.body.size() < length) {
        if (in_.empty() && !receive()) {
            return false;
        }
        if (!take(std::min(in_.size(), length - request.body.size()), request.body, recording_)) {
            return false;
        }
    }
    return true;
}

bool Connection::send_all(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            gone();
            return false;
        }
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

void Connection::gone() {
    events_.append("client-gone\n");
}

bool Connection::pace() {
    if (gate_fd_ < 0 && options_.interval.count() == 0) {
        return true;
    }
    const auto until = std::chrono::steady_clock::now() + options_.interval;
    for (;;) {
        pollfd watched[2] = {{fd_, POLLIN | POLLRDHUP, 0}, {gate_fd_, POLLIN, 0}};
        if (!in_.empty()) {
            watched[0].events = POLLRDHUP;
        }
        int timeout = -1;
        if (gate_fd_ < 0) {
            const auto left =
                std::chrono::duration_cast<Milliseconds>(until - std::chrono::steady_clock::now());
            if (left.count() <= 0) {
                return true;
            }
            timeout = static_cast<int>(left.count());
        }
        if (::poll(watched, gate_fd_ < 0 ? 1 : 2, timeout) < 0 && errno != EINTR) {
            return false;
        }
        if ((watched[0].revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) {
            gone();
            return false;
        }
        if ((watched[0].revents & POLLIN) != 0 && !receive()) {
            gone();
            return false;
        }
        char byte = 0;
        if (gate_fd_ >= 0 && (watched[1].revents & POLLIN) != 0 &&
            ::read(gate_fd_, &byte, 1) == 1) {
            return true;
        }
    }
}

void Connection::echo() {
    recording_ = false;
    do {
        if (!send_all(in_)) {
            return;
        }
        in_.clear();
    } while (receive());
    events_.append("echo-ended\n");
}

void Connection::wait_for_close() {
    while (receive()) {
    }
    gone();
}

void Connection::close_politely() {
    ::shutdown(fd_, SHUT_WR);
    const timeval limit{2, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    while (receive()) {
        if (in_.size() > (1U << 20)) {
            in_.clear();
        }
    }
}

}  // namespace fake
