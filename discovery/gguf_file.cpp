// Opening and reading model files; see gguf_file.hpp.

#include "discovery/gguf_file.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace corral {

namespace {

constexpr std::size_t window_bytes_min = 512;  // after a jump
constexpr std::size_t window_bytes_first = 8U
                                           << 10;   // what most headers have before the vocabulary
constexpr std::size_t window_bytes_max = 8U << 10;  // while reading on and on
/// The ceiling of reading one file: a hostile header may make every small read a jump.
constexpr std::uint64_t bytes_read_max = 96U << 20;

Error io_error(int number) {
    return {Errc::io, Blame::internal, std::generic_category().message(number)};
}

}  // namespace

Result<FileWindow> FileWindow::open(const std::string& path) {
    // Without O_NONBLOCK a FIFO would wait for a writer; O_NOCTTY keeps a terminal from being ours.
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (descriptor < 0) {
        return io_error(errno);
    }
    struct stat status {};
    if (::fstat(descriptor, &status) != 0) {
        const int number = errno;
        ::close(descriptor);
        return io_error(number);
    }
    if (!S_ISREG(status.st_mode)) {
        ::close(descriptor);
        return Error(Errc::corrupt, Blame::internal, "not a regular file");
    }
    return FileWindow(descriptor, file_key(status));
}

FileWindow::FileWindow(FileWindow&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      size_(other.size_),
      key_(other.key_),
      window_(std::move(other.window_)),
      window_offset_(other.window_offset_),
      window_bytes_next_(other.window_bytes_next_),
      bytes_read_(other.bytes_read_) {}

FileWindow::~FileWindow() {
    if (descriptor_ >= 0) {
        ::close(descriptor_);
    }
}

Result<std::string_view> FileWindow::view(std::uint64_t offset, std::size_t count) {
    const std::uint64_t window_end = window_offset_ + window_.size();
    if (offset >= window_offset_ && offset <= window_end && count <= window_end - offset) {
        return std::string_view(window_).substr(static_cast<std::size_t>(offset - window_offset_),
                                                count);
    }
    // Reading on grows the window, a jump shrinks it: long arrays cost few reads, skipped ones
    // none.
    const bool reading_on = offset >= window_offset_ && offset <= window_end;
    if (bytes_read_ == 0) {
        window_bytes_next_ = window_bytes_first;
    } else if (reading_on) {
        window_bytes_next_ = std::min(window_bytes_next_ * 2, window_bytes_max);
    } else {
        window_bytes_next_ = window_bytes_min;
    }
    const std::uint64_t wanted =
        std::min<std::uint64_t>(std::max(window_bytes_next_, count), size_ - offset);
    if (bytes_read_ + wanted > bytes_read_max) {
        return Error(Errc::corrupt, Blame::internal, "the header is longer than any real one");
    }
    window_.resize(static_cast<std::size_t>(wanted));
    window_offset_ = offset;
    std::size_t filled = 0;
    while (filled < window_.size()) {
        const ssize_t got = ::pread(descriptor_, window_.data() + filled, window_.size() - filled,
                                    static_cast<off_t>(offset + filled));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            const int number = errno;
            window_.clear();
            return io_error(number);
        }
        if (got == 0) {
            break;
        }
        filled += static_cast<std::size_t>(got);
    }
    window_.resize(filled);
    bytes_read_ += filled;
    if (filled < count) {
        return Error(Errc::short_input, Blame::internal,
                     "the file became shorter while it was read");
    }
    return std::string_view(window_).substr(0, count);
}

Result<ModelFile> read_model_file(FileWindow& file) {
    const Result<GgufHeader> header = parse_gguf(file, is_model_key, {}, is_model_tensor);
    if (!header) {
        return header.error();
    }
    return describe_model(*header, file.size());
}

}  // namespace corral
