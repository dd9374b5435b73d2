#pragma once
// What was read from model files before, so that a file that did not change is not opened again.
// Kept in one file of the state directory; without it, or without the right to write there,
// everything works the same, only slower. Touches that file and looks at the models' inodes; one
// thread at a time. Two programs may use one file: each replaces it whole, the last one wins.

#include "discovery/model_file.hpp"

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <sys/stat.h>

namespace corral {

/// One content of one file: whatever changes it changes one of these.
struct FileKey {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint64_t size = 0;
    std::int64_t modified_ns = 0;
    friend auto operator<=>(const FileKey&, const FileKey&) = default;
};

[[nodiscard]] FileKey file_key(const struct stat& status) noexcept;

/// What was found in a file: a model, or why it is none.
struct IndexEntry {
    std::string path;  ///< where it was found last
    std::optional<ModelFile> model;
    std::string problem;
};

class ModelIndex {
public:
    static constexpr std::size_t entries_max = 100'000;

    /// From the text of an index file. A text that is none, or that another version wrote, gives an
    /// empty index and a warning.
    [[nodiscard]] static ModelIndex parse(std::string_view text, std::string& warning);
    /// The same from a file; one that is not there is an empty index without a warning.
    [[nodiscard]] static ModelIndex load(const std::string& file, std::string& warning);

    /// The entry of an unchanged file, or nullptr. It counts as seen.
    [[nodiscard]] const IndexEntry* find(const FileKey& key);
    void put(const FileKey& key, IndexEntry entry);

    /// Forgets the entries that were not seen and whose files are gone or changed.
    void drop_vanished();
    /// True when it holds something else than the text that it came from.
    [[nodiscard]] bool is_changed() const noexcept { return changed_; }
    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

    [[nodiscard]] std::string text() const;
    /// Replaces the file, making its directory; only when is_changed(). Failures are nobody's
    /// concern: the next scan reads the files again.
    void save(const std::string& file) const;

private:
    struct Slot {
        IndexEntry entry;
        bool seen = false;
    };
    std::map<FileKey, Slot> entries_;
    bool changed_ = false;
};

}  // namespace corral
