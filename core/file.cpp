#include "core/file.hpp"

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace corral {
namespace {

class Descriptor {
public:
    explicit Descriptor(int fd) noexcept : fd_(fd) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }
    [[nodiscard]] int get() const noexcept { return fd_; }
    /// Closes now, so that a late write error is seen. True when the file system accepted all.
    [[nodiscard]] bool close() noexcept { return ::close(std::exchange(fd_, -1)) == 0; }

private:
    int fd_;
};

Error failed(std::string_view doing, std::string_view path, int number) {
    return {Errc::io, Blame::internal,
            std::string(doing) + " " + std::string(path) + ": " +
                boost::system::error_code(number, boost::system::system_category()).message()};
}

Error too_large(std::string_view path, std::size_t max_bytes) {
    return {Errc::body_too_large, Blame::internal,
            "cannot read " + std::string(path) + ": it is larger than " +
                std::to_string(max_bytes) + " bytes"};
}

Error not_regular(std::string_view doing, const std::string& path, mode_t mode) {
    const char* kind = S_ISDIR(mode)    ? "a directory"
                       : S_ISFIFO(mode) ? "a FIFO"
                       : S_ISSOCK(mode) ? "a socket"
                                        : "a device";
    return {Errc::io, Blame::internal,
            std::string(doing) + " " + path + ": it is " + kind + ", not a regular file"};
}

/// Where a write to `path` has to go: the end of its symbolic links when it exists, else itself.
std::string real_target(const std::string& path) {
    const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                           &std::free);
    return real ? std::string(real.get()) : path;
}

/// Writes all of it; false leaves the reason in errno.
bool write_all(int fd, std::string_view content) {
    while (!content.empty()) {
        const auto n = ::write(fd, content.data(), content.size());
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        content.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

/// Gives the temporary file the mode and owner of the file that it will replace.
bool take_over_rights(int fd, const std::string& target) {
    struct stat old {};
    if (::stat(target.c_str(), &old) != 0) {
        return ::fchmod(fd, 0644) == 0;
    }
    // Only root may give files away; for everybody else the owner is the same anyway.
    if (::fchown(fd, old.st_uid, old.st_gid) != 0) {
        errno = 0;
    }
    return ::fchmod(fd, old.st_mode & 0777U) == 0;
}

/// A rename is durable once its directory is on the disk. Best effort: some file systems refuse.
void sync_directory(const std::string& directory) {
    const Descriptor dir(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (dir.get() >= 0) {
        static_cast<void>(::fsync(dir.get()));
    }
}

}  // namespace

Result<std::string> read_descriptor(int fd, std::string_view name, std::size_t max_bytes) {
    std::string out;
    while (true) {
        constexpr std::size_t piece = 64 * 1024;
        const auto have = out.size();
        out.resize(have + piece);
        const auto n = ::read(fd, out.data() + have, piece);
        const int number = errno;
        out.resize(have + (n > 0 ? static_cast<std::size_t>(n) : 0));
        if (n < 0 && number == EINTR) {
            continue;
        }
        if (n < 0) {
            return failed("cannot read", name, number);
        }
        if (out.size() > max_bytes) {
            return too_large(name, max_bytes);
        }
        if (n == 0) {
            return out;
        }
    }
}

Result<std::string> read_text_file(const std::string& path, std::size_t max_bytes) {
    // O_NONBLOCK: the open of a FIFO without a writer would wait for ever.
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (file.get() < 0) {
        return failed("cannot read", path, errno);
    }
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) {
        return failed("cannot read", path, errno);
    }
    if (!S_ISREG(status.st_mode)) {
        return not_regular("cannot read", path, status.st_mode);
    }
    if (static_cast<std::uintmax_t>(status.st_size) > max_bytes) {
        return too_large(path, max_bytes);  // before any of it is read
    }
    return read_descriptor(file.get(), path, max_bytes);
}

bool writable_by_others(const std::string& path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 && (status.st_mode & 022U) != 0;
}

Result<void> write_file_atomically(const std::string& path, std::string_view content) {
    const std::string target = real_target(path);
    struct stat old {};
    if (::stat(target.c_str(), &old) == 0 && !S_ISREG(old.st_mode)) {
        // A rename would put a plain file where a device such as /dev/null was.
        return not_regular("cannot write", path, old.st_mode);
    }
    const auto slash = target.rfind('/');
    const std::string directory = slash == std::string::npos ? "." : target.substr(0, slash + 1);
    std::string temporary = target + ".XXXXXX";
    Descriptor file(::mkostemp(temporary.data(), O_CLOEXEC));
    if (file.get() < 0) {
        return failed("cannot write", path, errno);
    }
    const bool written = write_all(file.get(), content) && take_over_rights(file.get(), target) &&
                         ::fsync(file.get()) == 0 && file.close() &&
                         ::rename(temporary.c_str(), target.c_str()) == 0;
    if (!written) {
        const int number = errno;
        ::unlink(temporary.c_str());
        return failed("cannot write", path, number);
    }
    sync_directory(directory);
    return {};
}

}  // namespace corral
