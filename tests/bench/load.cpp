// The clients of tests/bench/data_path.py, in one thread that costs little beside what it measures:
//
//     bench_load MODE --port PORT [--connections N] [--seconds T] [--bytes B] [--bench WORDS]
//
//     post      N kept-alive connections, each a 1 KiB chat request after another, for T seconds
//     sse       N streams, each of one request; how long after its stamp each event arrives
//     upload    N requests of B bytes at once; --model first or last (the default)
//     download  N answers, however long they are
//     idle      N connections, each kept open after one answer until the standard input ends
//
// WORDS are the value of the request's field X-Bench (upstream.cpp). Prints one line of JSON; idle
// prints one when all connections are idle, and one at the end.
#include "tests/bench/http_message.hpp"
#include "tests/bench/sockets.hpp"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace bench {
namespace {

/// The words of the command line.
struct Options {
    std::string mode;
    std::uint16_t port = 0;
    std::size_t connections = 1;
    double seconds = 1;
    std::size_t bytes = 1024;
    std::string bench;
    bool model_last = true;
};

/// A chat request of so many bytes, as the OpenAI client for Python words it. That client sends
/// `messages` before `model`.
std::string chat_request(const Options& options) {
    const std::string_view stream = options.mode == "post" || options.mode == "upload"
                                        ? std::string_view("false")
                                        : std::string_view("true");
    const std::string model = R"("model":"bench")";
    std::string begin = R"({"messages":[{"role":"system","content":"You are a helpful assistant."})"
                        R"(,{"role":"user","content":")";
    std::string end = R"("}],)" + model + R"(,"max_completion_tokens":256,"stream":)";
    if (!options.model_last) {
        begin = "{" + model + "," + begin.substr(1);
        end = R"("}],"max_completion_tokens":256,"stream":)";
    }
    end.append(stream).append(R"(,"temperature":0.7})");
    const std::size_t size = std::max(options.bytes, begin.size() + end.size());
    std::string head =
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(options.port) +
        "\r\nAccept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\n"
        "Accept: application/json\r\nContent-Type: application/json\r\n"
        "User-Agent: OpenAI/Python 1.82.0\r\nX-Stainless-Lang: python\r\n"
        "X-Stainless-Package-Version: 1.82.0\r\nX-Stainless-OS: Linux\r\n"
        "X-Stainless-Arch: x64\r\nX-Stainless-Runtime: CPython\r\n"
        "X-Stainless-Runtime-Version: 3.11.2\r\nAuthorization: Bearer no-key\r\n"
        "X-Stainless-Async: false\r\nx-stainless-retry-count: 0\r\n"
        "x-stainless-read-timeout: 600\r\nContent-Length: " +
        std::to_string(size) + "\r\n";
    if (!options.bench.empty()) {
        head += "X-Bench: " + options.bench + "\r\n";
    }
    return head + "\r\n" + begin + std::string(size - begin.size() - end.size(), 'x') + end;
}

class Client;

/// What a mode does with its answers. One for all clients.
class Load {
public:
    virtual ~Load() = default;
    /// A piece of a body has come.
    virtual void on_body(Client& client, std::string_view piece) = 0;
    /// A whole answer has come, or the request has failed; true: send the next.
    virtual bool on_answer(Client& client, bool good, Nanoseconds taken) = 0;
};

/// One connection and its requests, one after another.
class Client final : public EventLoop::Watcher {
public:
    Client(EventLoop& loop, Load& load, std::uint16_t port, std::string_view request)
        : loop_(loop), load_(load), port_(port), request_(request) {
        connect();
    }

    bool open() const { return socket_.get() >= 0; }
    EventReader& events() { return events_; }

    void on_ready(std::uint32_t events) override {
        if ((events & EPOLLOUT) != 0 && !send()) {
            failed();
        } else if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
            receive();
        }
    }

private:
    void connect() {
        socket_ = connect_to(port_);
        reader_ = MessageReader();
        begin_request();
        loop_.add(socket_, *this, EPOLLIN | EPOLLOUT);  // sends when it is connected
        waits_to_write_ = true;
    }

    void begin_request() {
        unsent_ = request_;
        begun_ = now();
        waiting_ = true;
    }

    bool send() {
        const bool works = send_some(socket_, unsent_);
        if (works && waits_to_write_ != !unsent_.empty()) {
            waits_to_write_ = !unsent_.empty();
            loop_.change(socket_, *this, waits_to_write_ ? EPOLLIN | EPOLLOUT : EPOLLIN);
        }
        return works;
    }

    void receive() {
        static std::vector<char> buffer(1U << 20);
        const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
        if (got <= 0) {
            if (got == 0 || errno != EAGAIN) {
                failed();
            }
            return;
        }
        reader_.feed({buffer.data(), static_cast<std::size_t>(got)},
                     [this](std::string_view piece) { load_.on_body(*this, piece); });
        if (reader_.complete()) {
            const bool good = reader_.status() == 200 && unsent_.empty();
            const bool closes = reader_.head().find("\nconnection: close") != std::string::npos;
            reader_.next();
            waiting_ = false;
            again(load_.on_answer(*this, good, now() - begun_), closes);
        }
    }

    /// The connection is broken: an error, unless it was idle.
    void failed() {
        const bool lost_a_request = waiting_;
        waiting_ = false;
        again(lost_a_request && load_.on_answer(*this, false, now() - begun_), true);
    }

    void again(bool wanted, bool needs_connection) {
        if (needs_connection) {
            socket_ = Descriptor();
            if (wanted) {
                connect();
            }
        } else if (wanted) {
            begin_request();
            if (!send()) {
                failed();
            }
        }
    }

    EventLoop& loop_;
    Load& load_;
    std::uint16_t port_;
    std::string_view request_;  ///< main's
    std::string_view unsent_;
    Descriptor socket_;
    MessageReader reader_;
    EventReader events_;
    Nanoseconds begun_ = 0;
    bool waiting_ = false;         ///< for an answer
    bool waits_to_write_ = false;  ///< asked the loop to tell when there is room
};

/// Durations, of which any part can be asked for.
class Durations {
public:
    void add(Nanoseconds value) { values_.push_back(value); }
    std::size_t size() const { return values_.size(); }
    /// Microseconds; `part` of all are at most this long.
    double at(double part) {
        if (values_.empty()) {
            return 0;
        }
        const auto last = static_cast<double>(values_.size() - 1);
        const auto place = static_cast<std::ptrdiff_t>(part * last);
        std::nth_element(values_.begin(), values_.begin() + place, values_.end());
        return static_cast<double>(values_[static_cast<std::size_t>(place)]) / 1000;
    }

private:
    std::vector<Nanoseconds> values_;
};

/// Every mode but idle: counts, and repeats until a moment or does not repeat.
class CountingLoad final : public Load {
public:
    CountingLoad(std::size_t running, bool streams, std::optional<Nanoseconds> until)
        : running_(running), streams_(streams), until_(until), begun_(now()) {}

    void on_body(Client& client, std::string_view piece) override {
        bytes_ += piece.size();
        if (streams_) {
            const Nanoseconds at = now();
            client.events().feed(piece, [&](Nanoseconds sent) { taken_.add(at - sent); });
        }
    }

    bool on_answer(Client&, bool good, Nanoseconds taken) override {
        requests_ += good ? 1 : 0;
        errors_ += good ? 0 : 1;
        if (good && !streams_) {
            taken_.add(taken);
        }
        const bool more = until_.has_value() && now() < *until_ && errors_ < 1000;
        running_ -= more ? 0 : 1;
        return more;
    }

    bool running() const { return running_ > 0; }

    void print() {
        std::printf(
            "{\"requests\": %zu, \"errors\": %zu, \"events\": %zu, \"bytes\": %zu, "
            "\"seconds\": %.4f, \"p50\": %.1f, \"p99\": %.1f}\n",
            requests_, errors_, streams_ ? taken_.size() : 0, bytes_,
            static_cast<double>(now() - begun_) / nanoseconds_a_second, taken_.at(0.5),
            taken_.at(0.99));
    }

private:
    std::size_t running_;  ///< clients that still have a request
    bool streams_;
    std::optional<Nanoseconds> until_;
    Nanoseconds begun_;
    std::size_t requests_ = 0;
    std::size_t errors_ = 0;
    std::size_t bytes_ = 0;
    Durations taken_;  ///< of requests, or of events
};

/// Connections that stay open after one answer.
class IdleLoad final : public Load {
public:
    void on_body(Client&, std::string_view) override {}
    bool on_answer(Client&, bool good, Nanoseconds) override {
        (good ? answered : errors) += 1;
        return false;
    }
    std::size_t answered = 0;
    std::size_t errors = 0;
};

/// The end of the standard input.
class InputEnd final : public EventLoop::Watcher {
public:
    explicit InputEnd(EventLoop& loop) { loop.add(input_, *this, EPOLLIN); }
    void on_ready(std::uint32_t) override {
        char byte = 0;
        ended = ended || ::read(input_.get(), &byte, 1) <= 0;
    }
    bool ended = false;

private:
    Descriptor input_ = Descriptor(::dup(STDIN_FILENO));
};

void run_idle(EventLoop& loop, const Options& options, std::string_view request) {
    constexpr std::size_t at_once = 32;
    IdleLoad load;
    InputEnd input(loop);
    std::vector<std::unique_ptr<Client>> clients;
    while (load.answered + load.errors < options.connections) {
        while (clients.size() < options.connections &&
               clients.size() < load.answered + load.errors + at_once) {
            clients.push_back(std::make_unique<Client>(loop, load, options.port, request));
        }
        loop.turn(now() + nanoseconds_a_second);
    }
    std::printf("{\"requests\": %zu, \"errors\": %zu}\n", load.answered, load.errors);
    std::fflush(stdout);
    while (!input.ended) {
        loop.turn(now() + nanoseconds_a_second);
    }
    const auto open = std::count_if(clients.begin(), clients.end(),
                                    [](const auto& client) { return client->open(); });
    std::printf("{\"open\": %td}\n", open);
}

void run_counting(EventLoop& loop, const Options& options, std::string_view request) {
    std::optional<Nanoseconds> until;
    if (options.mode == "post") {
        until = now() + static_cast<Nanoseconds>(options.seconds * nanoseconds_a_second);
    }
    CountingLoad load(options.connections, options.mode == "sse", until);
    std::vector<std::unique_ptr<Client>> clients;
    for (std::size_t i = 0; i < options.connections; ++i) {
        clients.push_back(std::make_unique<Client>(loop, load, options.port, request));
    }
    while (load.running()) {
        loop.turn(now() + nanoseconds_a_second);
    }
    load.print();
}

Options read_options(int count, char** words) {
    if (count < 2 || count % 2 != 0) {
        throw std::invalid_argument("usage: bench_load MODE --port PORT [options]");
    }
    Options options;
    options.mode = words[1];
    for (int i = 2; i < count; i += 2) {
        const std::string_view key = words[i];
        const std::string value = words[i + 1];
        if (key == "--port") {
            options.port = static_cast<std::uint16_t>(std::stoi(value));
        } else if (key == "--connections") {
            options.connections = std::stoul(value);
        } else if (key == "--seconds") {
            options.seconds = std::stod(value);
        } else if (key == "--bytes") {
            options.bytes = std::stoul(value);
        } else if (key == "--bench") {
            options.bench = value;
        } else if (key == "--model") {
            options.model_last = value != "first";
        } else {
            throw std::invalid_argument("unknown option " + std::string(key));
        }
    }
    return options;
}

}  // namespace
}  // namespace bench

int main(int count, char** words) {
    try {
        const bench::Options options = bench::read_options(count, words);
        const std::string request = bench::chat_request(options);
        bench::raise_file_limit();
        bench::EventLoop loop;
        if (options.mode == "idle") {
            bench::run_idle(loop, options, request);
        } else {
            bench::run_counting(loop, options, request);
        }
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench_load: %s\n", error.what());
        return 1;
    }
}
