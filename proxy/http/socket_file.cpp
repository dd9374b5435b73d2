#include "proxy/http/socket_file.hpp"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace corral::http {
namespace {

Error unusable(std::string detail) {
    return {Errc::io, Blame::internal, std::move(detail)};
}

Error failed(const char* what, int number) {
    return unusable(std::string(what) + ": " + std::strerror(number));
}

sockaddr_un unix_name(const std::string& path) noexcept {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, path.data(), std::min(path.size(), sizeof name.sun_path - 1));
    return name;
}

/// 0 when somebody answers there, else the errno of the attempt.
int try_to_connect(const sockaddr_un& name) noexcept {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return errno;
    }
    const auto* address = reinterpret_cast<const sockaddr*>(&name);
    const int number = ::connect(fd, address, sizeof name) == 0 ? 0 : errno;
    ::close(fd);
    return number;
}

/// Takes a socket away whose owner has died, and nothing else. No error: the place is free.
Result<void> clear_place(const std::string& path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) {
        return errno == ENOENT ? Result<void>() : Result<void>(failed("stat", errno));
    }
    if (!S_ISSOCK(status.st_mode)) {
        return unusable("there is a file that is no socket; it is left alone");
    }
    const int number = try_to_connect(unix_name(path));
    if (number == 0 || number == EAGAIN) {  // the latter: its queue of clients is full
        return unusable("another program listens there (find it with `ss -lxp`)");
    }
    if (number != ECONNREFUSED) {
        return failed("the socket that is there cannot be asked whether it is in use", number);
    }
    return ::unlink(path.c_str()) == 0 || errno == ENOENT
               ? Result<void>()
               : Result<void>(failed("removing the socket that a dead program left", errno));
}

}  // namespace

Result<SocketFile> SocketFile::bind(int socket, const std::string& path, mode_t mode) {
    if (auto free = clear_place(path); !free) {
        return free.error();
    }
    const sockaddr_un name = unix_name(path);
    // With its mode from the first moment: between bind and chmod anybody could connect.
    const mode_t before = ::umask(static_cast<mode_t>(~mode) & 0777U);
    const int done = ::bind(socket, reinterpret_cast<const sockaddr*>(&name), sizeof name);
    const int number = errno;
    ::umask(before);
    if (done != 0) {
        return failed("bind", number);
    }
    SocketFile out;
    struct stat status {};
    if (::lstat(path.c_str(), &status) == 0) {
        out.path_ = path;
        out.device_ = status.st_dev;
        out.inode_ = status.st_ino;
    }
    return out;
}

SocketFile& SocketFile::operator=(SocketFile&& other) noexcept {
    if (this != &other) {
        remove();
        path_ = std::exchange(other.path_, {});
        device_ = other.device_;
        inode_ = other.inode_;
    }
    return *this;
}

void SocketFile::remove() noexcept {
    struct stat status {};
    if (!path_.empty() && ::lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ &&
        status.st_ino == inode_) {
        ::unlink(path_.c_str());
    }
    path_.clear();
}

}  // namespace corral::http
