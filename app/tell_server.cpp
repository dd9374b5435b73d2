#include "app/tell_server.hpp"

#include "core/file.hpp"
#include "discovery/text.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <memory>
#include <netdb.h>
#include <optional>
#include <string_view>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace corral {
namespace {

constexpr std::size_t config_bytes_max = 16U << 20;
constexpr std::size_t answer_bytes_max = 1U << 20;
constexpr timeval patience{30, 0};

/// A socket that is closed at the end; -1: none.
class Connection {
public:
    explicit Connection(int fd) noexcept : fd_(fd) {}
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }
    [[nodiscard]] int fd() const noexcept { return fd_; }

private:
    int fd_;
};

int connect_to(const std::string& host, const std::string& port) {
    addrinfo wanted{};
    wanted.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (::getaddrinfo(host.c_str(), port.c_str(), &wanted, &found) != 0) {
        return -1;
    }
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
    for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
        const int fd = ::socket(one->ai_family, one->ai_socktype | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            continue;
        }
        ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        if (::connect(fd, one->ai_addr, one->ai_addrlen) == 0) {
            return fd;
        }
        ::close(fd);
    }
    return -1;
}

std::optional<std::string> exchange(int fd, const std::string& request) {
    if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size())) {
        return std::nullopt;
    }
    std::string answer;
    std::array<char, 4096> piece{};
    ssize_t count = 0;
    while (answer.size() < answer_bytes_max &&
           (count = ::recv(fd, piece.data(), piece.size(), 0)) > 0) {
        answer.append(piece.data(), static_cast<std::size_t>(count));
    }
    return answer.starts_with("HTTP/1.1 ") ? std::optional(answer) : std::nullopt;
}

/// HOST:PORT, :PORT or [v6]:PORT, in two.
std::pair<std::string, std::string> split_address(const std::string& server) {
    const std::size_t colon = server.rfind(':');
    if (colon == std::string::npos) {
        return {server, "8091"};
    }
    std::string host = server.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) {
        host = host.substr(1, host.size() - 2);
    }
    return {host.empty() ? "127.0.0.1" : host, server.substr(colon + 1)};
}

std::string api_key_of(const std::string& file, const EnvironmentLookup& environment) {
    const auto text = read_text_file(file, config_bytes_max);
    if (!text) {
        return {};
    }
    const auto config = load_config(*text, file, environment).config;
    return config && !config->api_keys.empty() ? config->api_keys.front() : std::string();
}

/// What the answer says of itself: the changes of a reload, or the message of an error.
std::string meaning_of(const std::string& answer) {
    const std::size_t body = answer.find("\r\n\r\n");
    const auto document = nlohmann::json::parse(
        body == std::string::npos ? std::string() : answer.substr(body + 4), nullptr, false);
    if (document.is_object() && document.contains("changed")) {
        std::string text;
        for (const char* what : {"added", "removed", "restarted", "updated"}) {
            for (const auto& name : document.value(what, nlohmann::json::array())) {
                text += (text.empty() ? "" : ", ") + std::string(what) + " " +
                        escaped(name.is_string() ? name.get<std::string>() : "?", 200);
            }
        }
        return text.empty() ? "nothing changed for it" : text;
    }
    if (document.is_object() && document.contains("error")) {
        const auto& error = document["error"];
        const auto& message =
            error.is_object() && error.contains("message") ? error["message"] : error;
        return escaped(message.is_string() ? message.get<std::string>() : message.dump(), 500);
    }
    return escaped(answer.substr(0, answer.find("\r\n")), 200);
}

}  // namespace

ServerAnswer tell_server_to_reload(const std::string& server, const std::string& file,
                                   const EnvironmentLookup& environment) {
    const auto [host, port] = split_address(server);
    const std::string place = host + ":" + port;
    const Connection connection(connect_to(host, port));
    if (connection.fd() < 0) {
        return {false, "No server answers at " + escaped(place, 200) +
                           "; it will read the file when it starts."};
    }
    const std::string key = api_key_of(file, environment);
    const bool v6 = host.find(':') != std::string::npos;
    const std::string request =
        "POST /api/config/reload HTTP/1.1\r\nHost: " + (v6 ? "[" + host + "]:" + port : place) +
        "\r\nConnection: close\r\nContent-Length: 0\r\n" +
        (key.empty() ? "" : "Authorization: Bearer " + key + "\r\n") + "\r\n";
    const auto answer = exchange(connection.fd(), request);
    if (!answer) {
        return {true, "The server at " + escaped(place, 200) + " gave no answer that can be read."};
    }
    const bool done = answer->starts_with("HTTP/1.1 200 ");
    return {!done, "The server at " + escaped(place, 200) +
                       (done ? " has reloaded: " : " did not reload: ") + meaning_of(*answer) +
                       "."};
}

}  // namespace corral
