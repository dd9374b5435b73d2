// proxy/http/socket_file: the file of a Unix socket, made and removed with care.
#include "proxy/http/socket_file.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

using corral::http::SocketFile;

struct Folder {
    Folder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "corral-XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        path = pattern;
    }
    ~Folder() { std::filesystem::remove_all(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    std::filesystem::path path;
};

struct UnixSocket {
    int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    UnixSocket() = default;
    ~UnixSocket() { ::close(fd); }
    UnixSocket(const UnixSocket&) = delete;
    UnixSocket& operator=(const UnixSocket&) = delete;
};

mode_t mode_of(const std::string& path) {
    struct stat status {};
    REQUIRE(::lstat(path.c_str(), &status) == 0);
    return status.st_mode & 07777U;
}

}  // namespace

TEST_CASE("the file has its mode, whatever the umask, and goes with its owner") {
    // Guards: 0600 or as configured (safety.md 163), and no file is left behind.
    const Folder folder;
    const std::string path = folder.path / "x.sock";
    const mode_t before = ::umask(0);
    for (const mode_t mode : {0600U, 0660U, 0777U}) {
        const UnixSocket socket;
        {
            const auto file = SocketFile::bind(socket.fd, path, mode);
            REQUIRE_MESSAGE(file.has_value(), file.error());
            CHECK(mode_of(path) == mode);
        }
        CHECK_FALSE(std::filesystem::exists(path));
    }
    CHECK(::umask(before) == 0);
}

TEST_CASE("only a socket whose owner has died is replaced") {
    // Guards: two programs never share a socket, and no file of the user is ever removed.
    const Folder folder;
    const std::string path = folder.path / "x.sock";
    const UnixSocket second;
    {
        const UnixSocket first;
        auto file = SocketFile::bind(first.fd, path, 0600);
        REQUIRE(file.has_value());
        REQUIRE(::listen(first.fd, 1) == 0);
        const auto busy = SocketFile::bind(second.fd, path, 0600);
        REQUIRE(busy.has_error());
        CHECK(busy.error().detail.find("another program listens there") == 0);
        std::filesystem::rename(path, path + ".kept");  // so that nobody removes it
    }
    std::filesystem::rename(path + ".kept", path);
    CHECK(SocketFile::bind(second.fd, path, 0600).has_value());

    std::ofstream(path) << "mine";
    const UnixSocket third;
    const auto refused = SocketFile::bind(third.fd, path, 0600);
    REQUIRE(refused.has_error());
    CHECK(refused.error().detail.find("no socket") != std::string::npos);
    CHECK(std::filesystem::file_size(path) == 4);
}

TEST_CASE("a file that somebody has put in its place stays") {
    // Guards: a new instance that took the path over keeps it when the old one ends.
    const Folder folder;
    const std::string path = folder.path / "x.sock";
    const UnixSocket socket;
    {
        const auto file = SocketFile::bind(socket.fd, path, 0600);
        REQUIRE(file.has_value());
        std::filesystem::rename(path, path + ".old");  // its inode number stays in use
        std::ofstream(path) << "theirs";
    }
    CHECK(std::filesystem::exists(path));
}
