#pragma once
// A GGUF file on disk: opened so that nothing can block, read by pread() in a bounded window.
// Touches files; any thread, one object a thread. Never writes.

#include "core/error.hpp"
#include "discovery/byte_source.hpp"
#include "discovery/model_file.hpp"
#include "discovery/model_index.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace corral {

/// Which file it is, whatever its names are.
struct FileIdentity {
    dev_t device = 0;
    ino_t inode = 0;
    friend auto operator<=>(const FileIdentity&, const FileIdentity&) = default;
};

/// An open regular file as a ByteSource. The descriptor is closed with the object.
class FileWindow final : public ByteSource {
public:
    /// Errors: io with the system's reason; corrupt when it is no regular file.
    [[nodiscard]] static Result<FileWindow> open(const std::string& path);

    FileWindow(FileWindow&& other) noexcept;
    FileWindow& operator=(FileWindow&&) = delete;
    ~FileWindow() override;

    [[nodiscard]] std::uint64_t size() const noexcept override { return size_; }
    [[nodiscard]] Result<std::string_view> view(std::uint64_t offset, std::size_t count) override;

    [[nodiscard]] FileIdentity identity() const noexcept {
        return {static_cast<dev_t>(key_.device), static_cast<ino_t>(key_.inode)};
    }
    /// Its content when it was opened, for the index.
    [[nodiscard]] const FileKey& key() const noexcept { return key_; }
    /// Bytes read from the file so far.
    [[nodiscard]] std::uint64_t bytes_read() const noexcept { return bytes_read_; }

private:
    FileWindow(int descriptor, const FileKey& key)
        : descriptor_(descriptor), size_(key.size), key_(key) {}

    int descriptor_;
    std::uint64_t size_;
    FileKey key_;
    std::string window_;
    std::uint64_t window_offset_ = 0;
    std::size_t window_bytes_next_ = 0;
    std::uint64_t bytes_read_ = 0;
};

/// Opens, parses and describes a file. The errors of FileWindow, parse_gguf and describe_model.
[[nodiscard]] Result<ModelFile> read_model_file(FileWindow& file);

}  // namespace corral
