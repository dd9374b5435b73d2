// When files have come to rest, and which folders are watched.

#include "app/scan_watch.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <stdlib.h>
#include <string>

using namespace corral;

namespace fs = std::filesystem;

namespace {

class Folder {
public:
    Folder() {
        std::string pattern = (fs::temp_directory_path() / "corral-watch-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) {
            throw std::runtime_error("no temporary folder");
        }
        path = pattern;
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() { fs::remove_all(path); }

    void append(const std::string& name, const std::string& bytes) const {
        std::ofstream(path / name, std::ios::app) << bytes;
    }

    fs::path path;
};

}  // namespace

TEST_CASE("files are at rest when two looks find the same") {
    // Guards: no file is read while it grows, and whatever comes, goes or grows is noticed.
    const Folder folder;
    GrowingFiles files;
    CHECK(files.settled({folder.path}));
    folder.append("a.gguf", "12");
    CHECK_FALSE(files.settled({folder.path}));
    CHECK(files.settled({folder.path}));
    folder.append("a.gguf", "3");
    CHECK_FALSE(files.settled({folder.path}));
    folder.append("a.gguf", "4");
    CHECK_FALSE(files.settled({folder.path}));
    folder.append("notes.txt", "no model");
    CHECK(files.settled({folder.path}));
    fs::rename(folder.path / "a.gguf", folder.path / "b.gguf");
    CHECK_FALSE(files.settled({folder.path}));
    fs::remove(folder.path / "b.gguf");
    CHECK_FALSE(files.settled({folder.path}));
    CHECK(files.settled({folder.path, folder.path / "nothing"}));
}

TEST_CASE("every folder is watched once, links and loops too, and one that is yet to come") {
    // Guards: a watch ends, and what it does not see nobody renews.
    const Folder folder;
    fs::create_directories(folder.path / "a/b");
    fs::create_directory_symlink(folder.path, folder.path / "a/loop");
    const auto folders = with_folders({folder.path.string(), (folder.path / "later").string()});
    CHECK(folders == std::vector<fs::path>{folder.path, folder.path / "a", folder.path / "a/b",
                                           folder.path / "later"});
}
