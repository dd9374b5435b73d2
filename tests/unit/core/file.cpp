// core/file: what it reads is bounded and regular, what it writes is whole or not there.
#include "core/file.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

namespace fs = std::filesystem;
using namespace corral;

namespace {

class TemporaryDirectory {
public:
    TemporaryDirectory() {
        std::string name = (fs::temp_directory_path() / "corral-file-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory() { fs::remove_all(path_); }
    [[nodiscard]] std::string operator/(const char* name) const { return (path_ / name).string(); }
    [[nodiscard]] std::size_t files() const {
        return static_cast<std::size_t>(
            std::distance(fs::directory_iterator(path_), fs::directory_iterator()));
    }

private:
    fs::path path_;
};

mode_t mode_of(const std::string& path) {
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return status.st_mode & 0777U;
}

}  // namespace

TEST_CASE("what was written is read back byte for byte") {
    // Guards: neither direction changes, drops or adds a byte, NUL and 0xFF included.
    const TemporaryDirectory dir;
    std::string content(200'000, 'x');
    content[1] = '\0';
    content[70'000] = '\xff';
    REQUIRE(write_file_atomically(dir / "a", content));
    const auto back = read_text_file(dir / "a", content.size());
    REQUIRE(back);
    CHECK(*back == content);
    CHECK(mode_of(dir / "a") == 0644);
    CHECK(dir.files() == 1);
}

TEST_CASE("a file above the bound is refused, one of exactly the bound is not") {
    // Guards: max_bytes is inclusive and holds.
    const TemporaryDirectory dir;
    REQUIRE(write_file_atomically(dir / "a", "12345"));
    CHECK(read_text_file(dir / "a", 5));
    const auto over = read_text_file(dir / "a", 4);
    REQUIRE(!over);
    CHECK(over.error().is(Errc::body_too_large));
    CHECK(over.error().detail.find("larger than 4 bytes") != std::string::npos);
}

TEST_CASE("a file is refused by its size before any of it is read") {
    // Guards: a sparse file of a terabyte costs nothing.
    const TemporaryDirectory dir;
    REQUIRE(write_file_atomically(dir / "sparse", ""));
    fs::resize_file(dir / "sparse", 1ULL << 40U);
    const auto refused = read_text_file(dir / "sparse", 1U << 20U);
    REQUIRE(!refused);
    CHECK(refused.error().is(Errc::body_too_large));
}

TEST_CASE("only regular files are read, and none of the others makes the reader wait") {
    // Guards safety.md case 108: FIFO, device, directory, symlink loop, missing file.
    const TemporaryDirectory dir;
    REQUIRE(::mkfifo((dir / "fifo").c_str(), 0600) == 0);
    fs::create_symlink("loop", dir / "loop");
    for (const auto& path : {dir / "fifo", std::string("/dev/zero"), std::string("/tmp"),
                             dir / "loop", dir / "absent"}) {
        CAPTURE(path);
        const auto result = read_text_file(path, 100);
        REQUIRE(!result);
        CHECK(result.error().is(Errc::io));
        CHECK(result.error().detail.find(path) != std::string::npos);
    }
}

TEST_CASE("a descriptor is read to its end") {
    // Guards: standard input may be a pipe that gives its bytes in pieces.
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    REQUIRE(::write(ends[1], "models:\n", 8) == 8);
    ::close(ends[1]);
    const auto text = read_descriptor(ends[0], "standard input", 100);
    ::close(ends[0]);
    REQUIRE(text);
    CHECK(*text == "models:\n");
}

TEST_CASE("an existing file keeps its mode and a symbolic link stays one") {
    // Guards: rewriting a private config never widens it, and a link into /etc is not replaced.
    const TemporaryDirectory dir;
    REQUIRE(write_file_atomically(dir / "real", "old"));
    REQUIRE(::chmod((dir / "real").c_str(), 0600) == 0);
    fs::create_symlink("real", dir / "link");
    REQUIRE(write_file_atomically(dir / "link", "new"));
    CHECK(fs::is_symlink(dir / "link"));
    CHECK(*read_text_file(dir / "real", 10) == "new");
    CHECK(mode_of(dir / "real") == 0600);
    CHECK(dir.files() == 2);
}

TEST_CASE("a failed write leaves no temporary file and never replaces a device") {
    // Guards: `--output /dev/null` as root must not turn the device into a file.
    const TemporaryDirectory dir;
    CHECK(!write_file_atomically(dir / "no/such/directory", "x"));
    CHECK(!write_file_atomically("/dev/null", "x"));
    REQUIRE(::mkdir((dir / "d").c_str(), 0700) == 0);
    CHECK(!write_file_atomically(dir / "d", "x"));
    CHECK(dir.files() == 1);
    CHECK(fs::is_character_file("/dev/null"));
}
