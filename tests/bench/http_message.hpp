#pragma once
// The little HTTP/1.1 that bench_load and bench_upstream speak: reading one message after another
// from whatever pieces come, and the stamps of streamed events. It trusts what it reads: all of it
// was written by the other end of the same benchmark, or by a proxy between them.

#include "tests/bench/sockets.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace bench {

/// The number that follows `key` in a text; `otherwise` when it has no such key.
inline std::int64_t number_after(std::string_view text, std::string_view key,
                                 std::int64_t otherwise, int base = 10) {
    const std::size_t place = text.find(key);
    if (place == std::string_view::npos) {
        return otherwise;
    }
    std::string_view digits = text.substr(place + key.size());
    digits.remove_prefix(std::min(digits.find_first_not_of(' '), digits.size()));
    std::int64_t value = otherwise;
    std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    return value;
}

/// Reads requests or answers. An answer's body has a length or is chunked.
class MessageReader {
public:
    /// Takes bytes up to the end of the message at most, hands each piece of its body to
    /// `on_body(std::string_view)`, and tells how many bytes it took.
    template <class OnBody>
    std::size_t feed(std::string_view bytes, const OnBody& on_body) {
        std::string_view rest = bytes;
        while (!rest.empty() && state_ != State::complete) {
            if (state_ == State::body || state_ == State::chunk) {
                const std::size_t size = std::min(left_, rest.size());
                on_body(rest.substr(0, size));
                rest.remove_prefix(size);
                left_ -= size;
                if (left_ == 0) {
                    state_ = state_ == State::body ? State::complete : State::chunk_end;
                }
            } else if (take_line(rest)) {
                on_line();
            }
        }
        return bytes.size() - rest.size();
    }

    bool complete() const { return state_ == State::complete; }
    bool head_complete() const { return state_ != State::head; }
    bool started() const { return state_ != State::head || !head_.empty() || !line_.empty(); }

    /// In lower case, a line after another, each ended by \r\n.
    std::string_view head() const { return head_; }
    int status() const { return static_cast<int>(number_after(head_, "http/1.1 ", 0)); }

    void next() {
        state_ = State::head;
        head_.clear();
    }

private:
    enum class State : std::uint8_t { head, body, chunk_head, chunk, chunk_end, trailer, complete };

    /// Adds to the line up to its end; false: it has none yet.
    bool take_line(std::string_view& rest) {
        const std::size_t end = rest.find('\n');
        line_.append(rest.substr(0, end == std::string_view::npos ? end : end + 1));
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
        return end != std::string_view::npos;
    }

    void on_line() {
        const bool empty = line_.size() <= 2;
        switch (state_) {
            case State::head:
                std::transform(line_.begin(), line_.end(), line_.begin(), lower);
                head_ += line_;
                if (empty) {
                    on_head();
                }
                break;
            case State::chunk_head:
                left_ = static_cast<std::size_t>(number_after(line_, "", 0, 16));
                state_ = left_ == 0 ? State::trailer : State::chunk;
                break;
            case State::chunk_end:
                state_ = State::chunk_head;
                break;
            default:
                state_ = empty ? State::complete : state_;
                break;
        }
        line_.clear();
    }

    void on_head() {
        left_ = static_cast<std::size_t>(number_after(head_, "\ncontent-length:", 0));
        if (head_.find("\ntransfer-encoding:") != std::string::npos) {
            state_ = State::chunk_head;
        } else {
            state_ = left_ == 0 ? State::complete : State::body;
        }
    }

    static char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

    State state_ = State::head;
    std::string head_;
    std::string line_;      ///< of the head or of a chunk's framing, so far
    std::size_t left_ = 0;  ///< of the body, or of the chunk
};

/// Server-sent events, each ended by an empty line: finds the moment at which each was written.
class EventReader {
public:
    static constexpr std::string_view stamp_key = "\"sent\":";

    /// Calls `on_event(Nanoseconds sent)` for each event that ends in this piece of a body.
    template <class OnEvent>
    void feed(std::string_view piece, const OnEvent& on_event) {
        pending_ += piece;
        std::size_t begin = 0;
        for (std::size_t end = 0; (end = pending_.find("\n\n", begin)) != std::string::npos;) {
            const auto event = std::string_view(pending_).substr(begin, end - begin);
            const Nanoseconds sent = number_after(event, stamp_key, 0);
            if (sent != 0) {
                on_event(sent);
            }
            begin = end + 2;
        }
        pending_.erase(0, begin);
    }

private:
    std::string pending_;
};

}  // namespace bench
