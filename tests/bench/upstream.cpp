// A model server that costs next to nothing, for tests/bench/data_path.py:
//
//     bench_upstream --port PORT
//
// GET gets 200 at once. A POST is read to its end and then answered as its field X-Bench says:
//
//     (without the field)           1 KiB of JSON, as a finished chat completion
//     sse events=50 every=20000000 after=500000000
//                                   so many events, one every so many nanoseconds, each stamped;
//                                   the first after a while, when all streams are there
//     bulk bytes=209715200          a stream of events as fast as they are taken
//     upload pause=300000000        JSON; before the body is read, so many nanoseconds pass
//
// An event is one chunk, as llama-server writes it. One thread, one event loop.
#include "tests/bench/http_message.hpp"
#include "tests/bench/sockets.hpp"

#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <queue>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace bench {
namespace {

constexpr std::string_view event_begin =
    R"(data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":" token"}}],)"
    R"("created":1727000000,"id":"chatcmpl-bench","model":"bench",)"
    R"("object":"chat.completion.chunk",)";
constexpr std::string_view usage =
    R"("usage":{"completion_tokens":50,"prompt_tokens":200,"total_tokens":250},)"
    R"("timings":{"prompt_n":200,"prompt_ms":20.5,"predicted_n":50,"predicted_ms":500.5})";
constexpr std::string_view stream_head =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nServer: llama.cpp\r\n"
    "Transfer-Encoding: chunked\r\n\r\n";
constexpr std::string_view stream_end = "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";

std::string answer(std::string_view type, std::string_view body) {
    return "HTTP/1.1 200 OK\r\nContent-Type: " + std::string(type) +
           "\r\nServer: llama.cpp\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
           std::string(body);
}

/// A finished chat completion of about 1 KiB.
std::string completion() {
    std::string body = R"({"choices":[{"finish_reason":"stop","index":0,"message":{"content":")" +
                       std::string(640, 'x') + R"(","role":"assistant"}}],)" +
                       R"("created":1727000000,"id":"chatcmpl-bench","model":"bench",)" +
                       R"("object":"chat.completion",)";
    return answer("application/json; charset=utf-8", body.append(usage) + "}");
}

std::string chunk(std::string_view content) {
    std::array<char, 16> size{};
    std::snprintf(size.data(), size.size(), "%zx\r\n", content.size());
    return size.data() + std::string(content) + "\r\n";
}

std::string stamped_event() {
    std::string event(event_begin);
    event.append(EventReader::stamp_key).append(std::to_string(now()));
    return chunk(event + "}\n\n");
}

std::string usage_event() {
    return chunk(std::string(event_begin).append(usage) + "}\n\n");
}

/// 64 KiB of events.
std::string bulk_events() {
    const std::string one = chunk(std::string(event_begin) + "\"sent\":0000000000000000000}\n\n");
    std::string all;
    while (all.size() + one.size() <= 65536) {
        all += one;
    }
    return all;
}

class Connection;

/// All connections, the moments that they wait for, and the answers that never change.
class Server final : EventLoop::Watcher {
public:
    explicit Server(std::uint16_t port) : listener_(listen_on(port)) {
        loop_.add(listener_, *this, EPOLLIN);
    }
    void run();
    void on_ready(std::uint32_t events) override;
    void forget(int descriptor) { connections_.erase(descriptor); }
    /// Calls on_due() of the connection with this number then, if it is still there.
    void wake_at(Nanoseconds when, int descriptor, std::uint64_t number) {
        due_.push(Due{when, descriptor, number});
    }
    EventLoop& loop() { return loop_; }

    const std::string health = answer("application/json", R"({"status":"ok"})");
    const std::string json = completion();
    const std::string bulk = bulk_events();
    std::vector<char> buffer = std::vector<char>(262144);

private:
    struct Due {
        Nanoseconds when;
        int descriptor;
        std::uint64_t number;
        bool operator<(const Due& other) const { return when > other.when; }
    };

    EventLoop loop_;
    Descriptor listener_;
    std::unordered_map<int, std::unique_ptr<Connection>> connections_;
    std::priority_queue<Due> due_;
    std::uint64_t accepted_ = 0;
};

/// One client: its requests one after another, each read to its end and answered.
class Connection final : public EventLoop::Watcher {
public:
    Connection(Server& server, Descriptor socket, std::uint64_t number)
        : server_(server), socket_(std::move(socket)), number_(number) {
        server_.loop().add(socket_, *this, EPOLLIN);
    }

    std::uint64_t number() const { return number_; }

    void on_ready(std::uint32_t events) override {
        const bool writes = (events & EPOLLOUT) == 0 || flush();
        const bool broken = paused_ && (events & (EPOLLHUP | EPOLLERR)) != 0;
        if (broken || !writes || ((events & EPOLLIN) != 0 && !read())) {
            server_.forget(socket_.get());  // ends this
        }
    }

    /// What it waited for has come: the end of a pause, or the next event.
    void on_due(Nanoseconds when) {
        bool works = true;
        if (paused_) {
            paused_ = false;
            server_.loop().change(socket_, *this, EPOLLIN);
            works = begin_answer_if_complete();
        } else if (--events_left_ > 0) {
            works = write(stamped_event());
            server_.wake_at(when + every_, socket_.get(), number_);
        } else {
            works = write(stamped_event()) && write(usage_event()) && write(stream_end);
        }
        if (!works) {
            server_.forget(socket_.get());  // ends this
        }
    }

private:
    /// False: the client is gone. So for all that return bool here.
    bool read() {
        const ssize_t got = ::recv(socket_.get(), server_.buffer.data(), server_.buffer.size(), 0);
        if (got <= 0) {
            return got < 0 && errno == EAGAIN;
        }
        const bool had_head = reader_.head_complete();
        reader_.feed({server_.buffer.data(), static_cast<std::size_t>(got)},
                     [](std::string_view) {});  // nobody sends a request before its answer
        if (!had_head && reader_.head_complete()) {
            const Nanoseconds pause = number_after(reader_.head(), "pause=", 0);
            if (pause > 0) {
                paused_ = true;
                server_.loop().change(socket_, *this, 0);
                server_.wake_at(now() + pause, socket_.get(), number_);
            }
        }
        return begin_answer_if_complete();
    }

    bool begin_answer_if_complete() {
        if (paused_ || !reader_.complete()) {
            return true;
        }
        const std::string head(reader_.head());
        reader_.next();
        if (head.starts_with("get ")) {
            return write(server_.health);
        }
        if (head.find("\nx-bench: sse") != std::string::npos) {
            events_left_ = number_after(head, "events=", 1);
            every_ = number_after(head, "every=", 0);
            // Each stream at a moment of its own, so that they do not all write at once.
            const auto number = static_cast<Nanoseconds>(number_);
            const Nanoseconds phase = every_ == 0 ? 0 : number * 7'919'993 % every_;
            const Nanoseconds after = number_after(head, "after=", 0);
            server_.wake_at(now() + after + phase, socket_.get(), number_);
            return write(stream_head);
        }
        if (head.find("\nx-bench: bulk") != std::string::npos) {
            bulk_left_ = number_after(head, "bytes=", 1);
            return write(stream_head) && continue_bulk();
        }
        return write(server_.json);
    }

    bool continue_bulk() {
        while (bulk_left_ > 0 && unsent_.empty()) {
            bulk_left_ -= static_cast<std::int64_t>(server_.bulk.size());
            if (!write(server_.bulk) || (bulk_left_ <= 0 && !write(usage_event() += stream_end))) {
                return false;
            }
        }
        return true;
    }

    bool write(std::string_view bytes) {
        if (unsent_.empty()) {
            if (!send_some(socket_, bytes)) {
                return false;
            }
            if (!bytes.empty()) {
                server_.loop().change(socket_, *this, EPOLLIN | EPOLLOUT);
            }
        }
        unsent_ += bytes;
        return true;
    }

    bool flush() {
        std::string_view rest = unsent_;
        if (!send_some(socket_, rest)) {
            return false;
        }
        unsent_.erase(0, unsent_.size() - rest.size());
        if (!unsent_.empty()) {
            return true;
        }
        server_.loop().change(socket_, *this, EPOLLIN);
        return continue_bulk();
    }

    Server& server_;
    Descriptor socket_;
    std::uint64_t number_;
    MessageReader reader_;
    std::string unsent_;
    bool paused_ = false;           ///< before the body is read
    std::int64_t events_left_ = 0;  ///< of a stream
    Nanoseconds every_ = 0;         ///< between two of them
    std::int64_t bulk_left_ = 0;    ///< bytes
};

void Server::on_ready(std::uint32_t) {
    for (;;) {
        Descriptor socket(
            ::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (socket.get() < 0) {
            return;
        }
        const int yes = 1;
        ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        const int descriptor = socket.get();
        connections_[descriptor] =
            std::make_unique<Connection>(*this, std::move(socket), ++accepted_);
    }
}

void Server::run() {
    for (;;) {
        while (!due_.empty() && due_.top().when <= now()) {
            const Due due = due_.top();
            due_.pop();
            const auto found = connections_.find(due.descriptor);
            if (found != connections_.end() && found->second->number() == due.number) {
                found->second->on_due(due.when);
            }
        }
        loop_.turn(due_.empty() ? now() + nanoseconds_a_second : due_.top().when);
    }
}

}  // namespace
}  // namespace bench

int main(int count, char** words) {
    try {
        if (count != 3 || std::strcmp(words[1], "--port") != 0) {
            std::fputs("usage: bench_upstream --port PORT\n", stderr);
            return 2;
        }
        bench::raise_file_limit();
        bench::Server(static_cast<std::uint16_t>(std::stoi(words[2]))).run();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench_upstream: %s\n", error.what());
        return 1;
    }
}
