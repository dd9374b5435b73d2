#include "supervisor/launch/port_owner.hpp"

#include "core/file.hpp"
#include "supervisor/launch/socket_diag.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <dirent.h>
#include <fcntl.h>
#include <iterator>
#include <memory>
#include <optional>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace corral {
namespace {

constexpr std::size_t tcp_table_bytes_max = 16 << 20;
constexpr std::string_view listening = "0A";
/// Local addresses as these files spell them, in the machine's byte order: any, 127.0.0.0/8 by its
/// first byte, ::, ::1, and IPv4's loopback within IPv6.
constexpr std::string_view any_v4 = "00000000";
constexpr std::string_view loopback_v4_end = "7F";
constexpr std::string_view any_v6 = "00000000000000000000000000000000";
constexpr std::string_view loopback_v6 = "00000000000000000000000001000000";
constexpr std::string_view mapped_v6 = "0000000000000000FFFF0000";

struct CloseDirectoryStream {
    void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

std::vector<std::string> names_in(const std::string& path) {
    std::vector<std::string> out;
    const std::unique_ptr<DIR, CloseDirectoryStream> directory(::opendir(path.c_str()));
    while (directory) {
        const dirent* entry = ::readdir(directory.get());
        if (entry == nullptr) {
            break;
        }
        out.emplace_back(entry->d_name);
    }
    return out;
}

bool reached_from_loopback(std::string_view address) noexcept {
    if (address.size() == any_v4.size()) {
        return address == any_v4 || address.ends_with(loopback_v4_end);
    }
    return address == any_v6 || address == loopback_v6 ||
           (address.starts_with(mapped_v6) && address.ends_with(loopback_v4_end));
}

template <class T>
std::optional<T> number_in(std::string_view text, int base) noexcept {
    T value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    return error == std::errc{} && end == text.data() + text.size() ? std::optional(value)
                                                                    : std::nullopt;
}

/// "sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …"
using Fields = std::array<std::string_view, 10>;

Fields fields_of(std::string_view line) noexcept {
    Fields out;
    for (auto& field : out) {
        line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
        field = line.substr(0, line.find(' '));
        line.remove_prefix(field.size());
    }
    return out;
}

bool shows_connection(const Fields& fields) noexcept {
    return fields[1].find(':') != std::string_view::npos &&  // not the heading
           fields[3].size() == listening.size() && fields[3] != listening;
}

/// The inode of a line that shows such a listener.
std::optional<std::uint64_t> inode_of_listener(const Fields& fields, std::uint16_t port) {
    const auto colon = fields[1].rfind(':');
    if (fields[3] != listening || colon == std::string_view::npos ||
        number_in<std::uint16_t>(fields[1].substr(colon + 1), 16) != port ||
        !reached_from_loopback(fields[1].substr(0, colon))) {
        return std::nullopt;
    }
    return number_in<std::uint64_t>(fields[9], 10);
}

/// The beginning of such a table, at least as far as its first connection: thousands of those are
/// not worth reading.
std::string read_listening_part(const char* path) {
    std::string text;
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    std::array<char, 8192> chunk;  // filled by read()
    bool connections = fd < 0;
    while (!connections && text.size() < tcp_table_bytes_max) {
        const ssize_t n = ::read(fd, chunk.data(), chunk.size());
        if (n <= 0) {
            break;  // a signal cannot interrupt the reading of /proc
        }
        text.append(chunk.data(), static_cast<std::size_t>(n));
        const auto last = text.rfind('\n', text.size() - 2);
        connections = last != std::string::npos &&
                      shows_connection(fields_of(std::string_view(text).substr(last + 1)));
    }
    if (fd >= 0) {
        ::close(fd);
    }
    return text;
}

bool holds_one(pid_t pid, const std::vector<std::string>& links) {
    const std::string directory = fmt::format("/proc/{}/fd", pid);
    const auto names = names_in(directory);
    return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
        std::array<char, 64> target{};
        const std::string path = fmt::format("{}/{}", directory, name);
        const ssize_t n = ::readlink(path.c_str(), target.data(), target.size() - 1);
        const std::string_view text(target.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
        return std::find(links.begin(), links.end(), text) != links.end();
    });
}

/// One connection to a Unix socket, to see whether somebody listens there and who.
class Knock {
public:
    explicit Knock(const std::string& path) noexcept
        : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        if (fd_ < 0 || path.size() >= sizeof address.sun_path) {
            error_ = EINVAL;
            return;
        }
        std::copy(path.begin(), path.end(), std::begin(address.sun_path));
        const auto* general = reinterpret_cast<const sockaddr*>(&address);
        error_ = ::connect(fd_, general, sizeof address) == 0 ? 0 : errno;
    }
    ~Knock() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }
    Knock(const Knock&) = delete;
    Knock& operator=(const Knock&) = delete;

    /// 0 when somebody listens there; else why not. A full queue is EAGAIN.
    [[nodiscard]] int error() const noexcept { return error_; }
    [[nodiscard]] bool refused() const noexcept {
        return error_ != 0 && error_ != EAGAIN && error_ != EACCES;
    }
    /// 0 when that is not told: it runs in a container, or does not answer.
    [[nodiscard]] pid_t listener() const noexcept {
        ucred peer{};
        socklen_t size = sizeof peer;
        const bool told =
            error_ == 0 && ::getsockopt(fd_, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
        return told ? peer.pid : 0;
    }

private:
    int fd_;
    int error_ = 0;
};

}  // namespace

std::vector<std::uint64_t> parse_listeners(std::string_view text, std::uint16_t port) {
    std::vector<std::uint64_t> out;
    while (!text.empty()) {
        const auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        const Fields fields = fields_of(line);
        if (shows_connection(fields)) {
            break;
        }
        if (const auto inode = inode_of_listener(fields, port)) {
            out.push_back(*inode);
        }
    }
    return out;
}

std::vector<std::uint64_t> listening_sockets(std::uint16_t port) {
    if (auto told = diagnose_listeners(port)) {
        return std::move(*told);
    }
    std::vector<std::uint64_t> out;
    for (const char* path : {"/proc/net/tcp", "/proc/net/tcp6"}) {
        const auto found = parse_listeners(read_listening_part(path), port);
        out.insert(out.end(), found.begin(), found.end());
    }
    return out;
}

pid_t holder_of(const std::vector<std::uint64_t>& sockets, const std::vector<pid_t>& processes) {
    std::vector<std::string> links;
    for (const std::uint64_t socket : sockets) {
        links.push_back(fmt::format("socket:[{}]", socket));
    }
    const auto found = std::find_if(processes.begin(), processes.end(),
                                    [&](pid_t pid) { return holds_one(pid, links); });
    return found == processes.end() ? 0 : *found;
}

std::vector<pid_t> all_process_ids() {
    std::vector<pid_t> out;
    for (const auto& name : names_in("/proc")) {
        if (const auto pid = number_in<pid_t>(name, 10)) {
            out.push_back(*pid);
        }
    }
    return out;
}

std::optional<pid_t> holder_of_socket_file(const std::string& path) {
    const Knock knock(path);
    return knock.refused() ? std::nullopt : std::optional(knock.listener());
}

bool remove_dead_socket_file(const std::string& path) noexcept {
    struct stat file {};
    if (::lstat(path.c_str(), &file) != 0 || !S_ISSOCK(file.st_mode)) {
        return false;
    }
    return Knock(path).error() == ECONNREFUSED && ::unlink(path.c_str()) == 0;
}

std::string process_name(pid_t pid) {
    const auto text = read_text_file(fmt::format("/proc/{}/comm", pid), 4096);
    return text ? text->substr(0, text->find('\n')) : std::string();
}

}  // namespace corral
