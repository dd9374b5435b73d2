#pragma once
// The file of a Unix socket that this program listens on: made with its mode, in the place of one
// whose owner has died, and removed with this object. Never touches what is no socket or is in use.
// Changes the process's umask for a moment: main thread.

#include "core/error.hpp"

#include <string>
#include <sys/types.h>
#include <utility>

namespace corral::http {

class SocketFile {
public:
    SocketFile() = default;
    /// Binds the socket to the path. Errors say what is wrong, without the path.
    [[nodiscard]] static Result<SocketFile> bind(int socket, const std::string& path, mode_t mode);

    SocketFile(SocketFile&& other) noexcept { *this = std::move(other); }
    SocketFile& operator=(SocketFile&& other) noexcept;
    SocketFile(const SocketFile&) = delete;
    SocketFile& operator=(const SocketFile&) = delete;
    ~SocketFile() { remove(); }

    /// Removes the file, unless somebody has put another one in its place.
    void remove() noexcept;

private:
    std::string path_;  ///< empty: none
    dev_t device_ = 0;
    ino_t inode_ = 0;
};

}  // namespace corral::http
