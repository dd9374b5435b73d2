// Walking real folders: what is found, what is left out and why, and that nothing blocks, loops or
// runs away (safety.md 137 to 139, 141).

#include "discovery/catalogue.hpp"

#include "discovery/gguf_file.hpp"
#include "tests/unit/discovery/fixtures.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

using namespace corral;
using corral::testing::has;
using corral::testing::model_bytes;
using corral::testing::ModelShape;
using corral::testing::TempFolder;
namespace fs = std::filesystem;

namespace {

std::vector<std::string> names(const Catalogue& catalogue) {
    std::vector<std::string> result;
    for (const FoundModel& model : catalogue.models) {
        result.push_back(fs::path(model.path).filename().string());
    }
    return result;
}

/// Why the file with this name was left out; empty when it was not.
std::string reason(const Catalogue& catalogue, const std::string& name) {
    for (const LeftOut& item : catalogue.left_out) {
        if (fs::path(item.path).filename() == name) {
            return item.reason;
        }
    }
    return {};
}

Catalogue look(const TempFolder& folder, const WalkLimits& limits = {}) {
    return read_catalogue({folder.path().string()}, limits);
}

}  // namespace

TEST_CASE("models are found at every depth, in the order of their paths") {
    const TempFolder folder;
    folder.write("b.gguf", model_bytes());
    folder.write("a/deep/er/C.GGUF", model_bytes());
    folder.write("a/a.gguf", model_bytes());
    folder.write("a/notes.txt", "x");
    const Catalogue catalogue = look(folder);
    CHECK(names(catalogue) == std::vector<std::string>{"a.gguf", "C.GGUF", "b.gguf"});
    CHECK(catalogue.left_out.empty());
    CHECK(catalogue.models.front().path == (folder.path() / "a/a.gguf").string());
}

TEST_CASE("what is no model by itself is left out with its reason") {
    const TempFolder folder;
    folder.write("good.gguf", model_bytes());
    folder.write("eyes.gguf", model_bytes({.architecture = "clip"}));
    folder.write("model-mmproj-f16.gguf", model_bytes());
    folder.write("good.imatrix.gguf", model_bytes());
    folder.write("flux.gguf", model_bytes({.architecture = "flux"}));
    folder.write("eagle3-good.gguf", model_bytes());
    folder.write("half.gguf.part", "GGUF");
    folder.write("other.gguf.incomplete", "GGUF");
    folder.write("queue.gguf", model_bytes());
    folder.write("queue.gguf.aria2", "x");
    folder.write("broken.gguf", "FUGG and more bytes than a header needs");
    folder.write("empty.gguf", "");
    const std::string whole = model_bytes();
    folder.write("growing.gguf", whole.substr(0, whole.size() - 1));
    const Catalogue catalogue = look(folder);
    CHECK(names(catalogue) == std::vector<std::string>{"good.gguf"});
    CHECK(has(reason(catalogue, "eyes.gguf"), "projector"));
    CHECK(has(reason(catalogue, "model-mmproj-f16.gguf"), "projector"));
    CHECK(has(reason(catalogue, "good.imatrix.gguf"), "importance matrix"));
    CHECK(has(reason(catalogue, "flux.gguf"), "no text model"));
    CHECK(has(reason(catalogue, "eagle3-good.gguf"), "draft head"));
    for (const char* partial : {"half.gguf.part", "other.gguf.incomplete", "queue.gguf"}) {
        CHECK(has(reason(catalogue, partial), "not complete"));
    }
    CHECK(has(reason(catalogue, "broken.gguf"), "does not begin with"));
    CHECK(has(reason(catalogue, "empty.gguf"), "too few"));
    CHECK(has(reason(catalogue, "growing.gguf"), "is it complete?"));
}

TEST_CASE("roles of models without metadata for it come from their names") {
    const TempFolder folder;
    folder.write("bge-reranker-v2-m3.gguf", model_bytes({.architecture = "bert", .chat = false}));
    folder.write("e5-mistral-7b-instruct.gguf", model_bytes());
    folder.write("nomic.gguf", model_bytes({.architecture = "nomic-bert", .chat = false}));
    folder.write("x.gguf", model_bytes({.pooling = 4}));
    const Catalogue catalogue = look(folder);
    REQUIRE(catalogue.models.size() == 4);
    CHECK(catalogue.models[0].file.role == ModelRole::reranker);
    CHECK(catalogue.models[1].file.role == ModelRole::embedding);
    CHECK(catalogue.models[2].file.role == ModelRole::embedding);
    CHECK(catalogue.models[3].file.role == ModelRole::reranker);
}

TEST_CASE("a multi-part model is one entry with the sums of its parts") {
    const TempFolder folder;
    std::uint64_t bytes = 0;
    for (std::uint32_t number = 0; number < 3; ++number) {
        const std::string part =
            model_bytes({.rows = number + 1, .split_count = 3, .split_number = number});
        bytes += part.size();
        folder.write("big-0000" + std::to_string(number + 1) + "-of-00003.gguf", part);
    }
    const Catalogue catalogue = look(folder);
    REQUIRE(names(catalogue) == std::vector<std::string>{"big-00001-of-00003.gguf"});
    CHECK(catalogue.models[0].part_count == 3);
    CHECK(catalogue.models[0].file.parameters == 8 * (1 + 2 + 3));
    CHECK(catalogue.models[0].file.file_bytes == bytes);
    CHECK(catalogue.models[0].file_name.name == "big");
    CHECK(catalogue.left_out.empty());
}

TEST_CASE("safety 139: sets of parts that are not whole are left out as one") {
    const TempFolder folder;
    const auto part = [](std::uint32_t number, std::uint32_t count) {
        return model_bytes({.split_count = count, .split_number = number});
    };
    folder.write("gap-00001-of-00003.gguf", part(0, 3));
    folder.write("gap-00003-of-00003.gguf", part(2, 3));
    folder.write("zero-00000-of-00000.gguf", model_bytes());
    folder.write("many-99999-of-99999.gguf", model_bytes());
    folder.write("beyond-00004-of-00003.gguf", model_bytes());
    folder.write("liar-00001-of-00002.gguf", part(0, 5));
    folder.write("liar-00002-of-00002.gguf", part(1, 5));
    folder.write("swapped-00001-of-00002.gguf", part(1, 2));
    folder.write("swapped-00002-of-00002.gguf", part(0, 2));
    folder.write("cut-00001-of-00002.gguf", part(0, 2));
    folder.write("cut-00002-of-00002.gguf", part(1, 2).substr(0, 90));
    folder.write("renamed.gguf", part(0, 2));
    folder.write("alone-00001-of-00001.gguf", model_bytes());
    const Catalogue catalogue = look(folder);
    CHECK(names(catalogue) == std::vector<std::string>{"alone-00001-of-00001.gguf"});
    CHECK(catalogue.left_out.size() == 8);
    CHECK(has(reason(catalogue, "gap-00001-of-00003.gguf"), "missing: 2"));
    CHECK(has(reason(catalogue, "zero-00000-of-00000.gguf"), "part 0 of 0"));
    CHECK(has(reason(catalogue, "many-99999-of-99999.gguf"), "only 1 of its 99999"));
    CHECK(has(reason(catalogue, "beyond-00004-of-00003.gguf"), "part 4 of 3"));
    CHECK(has(reason(catalogue, "liar-00001-of-00002.gguf"), "1 of 5 by its content"));
    CHECK(has(reason(catalogue, "swapped-00001-of-00002.gguf"), "2 of 2 by its content"));
    CHECK(has(reason(catalogue, "cut-00001-of-00002.gguf"), "part 2 of 2"));
    CHECK(has(reason(catalogue, "renamed.gguf"), "its name does not say so"));
}

TEST_CASE("safety 138: what is no regular file is left out, and nothing blocks") {
    const TempFolder folder;
    const fs::path& root = folder.path();
    folder.write("good.gguf", model_bytes());
    REQUIRE(::mkfifo((root / "fifo.gguf").c_str(), 0600) == 0);
    fs::create_directory(root / "folder.gguf");
    fs::create_symlink("/dev/zero", root / "zero.gguf");
    fs::create_symlink("loop.gguf", root / "loop.gguf");
    fs::create_symlink("nowhere", root / "dangling.gguf");
    const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string socket_path = (root / "socket.gguf").string();
    REQUIRE(socket_path.size() < sizeof(address.sun_path));
    std::memcpy(address.sun_path, socket_path.c_str(), socket_path.size() + 1);
    REQUIRE(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
    const Catalogue catalogue = look(folder);
    ::close(socket);
    CHECK(names(catalogue) == std::vector<std::string>{"good.gguf"});
    CHECK(reason(catalogue, "fifo.gguf") == "not a regular file");
    CHECK(reason(catalogue, "zero.gguf") == "not a regular file");
    for (const char* name : {"loop.gguf", "dangling.gguf", "socket.gguf"}) {
        CHECK_FALSE(reason(catalogue, name).empty());
    }
}

TEST_CASE("symbolic links are followed once, out of the folder and in circles") {
    const TempFolder folder;
    const TempFolder outside;
    outside.write("models/far.gguf", model_bytes());
    folder.write("here/near.gguf", model_bytes());
    fs::create_directory_symlink(outside.path() / "models", folder.path() / "link");
    fs::create_directory_symlink(folder.path(), folder.path() / "here/up");
    fs::create_directory_symlink(folder.path() / "here", folder.path() / "again");
    fs::create_symlink(folder.path() / "here/near.gguf", folder.path() / "z.gguf");
    const Catalogue catalogue = look(folder);
    // A folder's own files come first, so the link's name is the one that counts.
    CHECK(names(catalogue) == std::vector<std::string>{"far.gguf", "z.gguf"});
    CHECK(has(reason(catalogue, "near.gguf"), "the same file as"));
}

TEST_CASE("safety 137: of a huge sparse file only the header is read") {
    const TempFolder folder;
    const std::string path = folder.write("huge.gguf", model_bytes());
    fs::resize_file(path, 1ULL << 40U);
    Result<FileWindow> window = FileWindow::open(path);
    REQUIRE(window.has_value());
    CHECK(read_model_file(*window).has_value());
    CHECK(window->bytes_read() <= 64 * 1024);
}

TEST_CASE("a header of endless empty strings is given up at a ceiling") {
    corral::testing::GgufBuilder header;
    header.head(0, 40);
    for (int i = 0; i < 39; ++i) {
        header.array("x", corral::testing::GgufType::string, 1'000'000).zeros(8'000'000);
    }
    const TempFolder folder;
    const std::string path = folder.write("sparse.gguf", header.bytes());
    fs::resize_file(path, 1ULL << 40U);
    Result<FileWindow> window = FileWindow::open(path);
    REQUIRE(window.has_value());
    const Result<ModelFile> result = read_model_file(*window);
    REQUIRE_FALSE(result.has_value());
    CHECK(has(result.error().detail, "longer than any real one"));
    CHECK(window->bytes_read() <= 96ULL << 20U);
}

TEST_CASE("long vocabularies cost few reads") {
    corral::testing::GgufBuilder pairs;
    pairs.string("general.architecture", "llama")
        .array("tokenizer.ggml.scores", corral::testing::GgufType::f32, 2'000'000)
        .zeros(8'000'000);
    corral::testing::GgufBuilder out;
    out.head(0, pairs.pairs());
    const TempFolder folder;
    const std::string path = folder.write("v.gguf", out.bytes() + pairs.bytes());
    Result<FileWindow> window = FileWindow::open(path);
    REQUIRE(window.has_value());
    CHECK(read_model_file(*window).has_value());
    CHECK(window->bytes_read() <= 64 * 1024);
}

TEST_CASE("safety 141: depth and number of entries have limits, and they are told") {
    const TempFolder folder;
    std::string deep;
    for (int i = 0; i < 12; ++i) {
        deep += "d/";
    }
    folder.write(deep + "deep.gguf", model_bytes());
    for (int i = 0; i < 30; ++i) {
        folder.write("f" + std::to_string(i) + ".txt", "");
    }
    CHECK(names(look(folder)) == std::vector<std::string>{"deep.gguf"});
    const Catalogue shallow = look(folder, {.depth_max = 5});
    CHECK(shallow.models.empty());
    REQUIRE(shallow.left_out.size() == 1);
    CHECK(has(shallow.left_out[0].reason, "directories deep"));
    const Catalogue few = look(folder, {.entries_max = 10});
    REQUIRE(few.left_out.size() == 1);
    CHECK(has(few.left_out[0].reason, "directory entries"));
}

TEST_CASE("a starting point that is not there is told apart from what was found") {
    const TempFolder folder;
    const std::string file = folder.write("one.gguf", model_bytes());
    const std::string missing = (folder.path() / "missing").string();
    const Catalogue catalogue = read_catalogue({missing, file, "/dev/null"});
    CHECK(names(catalogue) == std::vector<std::string>{"one.gguf"});
    REQUIRE(catalogue.failed_roots.size() == 2);
    CHECK(catalogue.failed_roots[0].path == missing);
}

TEST_CASE("starting points are made absolute and plain") {
    CHECK(absolute_path("/a/./b//../c/") == "/a/c");
    CHECK(absolute_path("/") == "/");
    CHECK(absolute_path("x") == (fs::current_path() / "x").string());
}

TEST_CASE("paths that a config cannot hold are left out before they are opened") {
    const TempFolder folder;
    folder.write("a\nb.gguf", model_bytes());
    folder.write("a${PORT}.gguf", model_bytes());
    folder.write("\xff\xfe.gguf", model_bytes());
    folder.write("\xc2\x85.gguf", model_bytes());
    folder.write("ok \xc3\xa9$HOME.gguf", model_bytes());
    const Catalogue catalogue = look(folder);
    CHECK(catalogue.models.size() == 1);
    CHECK(catalogue.left_out.size() == 4);
    CHECK(has(reason(catalogue, "a${PORT}.gguf"), "macro"));
}

TEST_CASE("files without permission are left out, others still found") {
    const TempFolder folder;
    const std::string path = folder.write("secret.gguf", model_bytes());
    folder.write("good.gguf", model_bytes());
    fs::permissions(path, fs::perms::none);
    const Catalogue catalogue = look(folder);
    const bool root = ::geteuid() == 0;  // for root nothing is forbidden
    CHECK(catalogue.models.size() == (root ? 2 : 1));
    CHECK(reason(catalogue, "secret.gguf").empty() == root);
}
