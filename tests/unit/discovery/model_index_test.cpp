// The index: an unchanged file is not opened again, a changed one is, and no state of the index
// file is an error.

#include "discovery/model_index.hpp"

#include "discovery/discovery.hpp"
#include "tests/unit/discovery/fixtures.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

using namespace corral;
using corral::testing::model_bytes;
using corral::testing::TempFolder;
namespace fs = std::filesystem;

namespace {

struct Place {
    TempFolder models;
    TempFolder state;
    std::string file = (state.path() / "corral/models.index").string();

    [[nodiscard]] Catalogue scan() const {
        DiscoverOptions options;
        options.directories = {models.path().string()};
        options.index_file = file;
        return discover(options).catalogue;
    }
    [[nodiscard]] std::string text() const {
        std::ostringstream out;
        out << std::ifstream(file).rdbuf();
        return out.str();
    }
};

std::size_t lines(const std::string& text) {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

bool same(const Catalogue& a, const Catalogue& b) {
    return a.left_out == b.left_out &&
           std::equal(a.models.begin(), a.models.end(), b.models.begin(), b.models.end(),
                      [](const FoundModel& x, const FoundModel& y) {
                          return x.path == y.path && x.part_count == y.part_count &&
                                 x.file.name == y.file.name && x.file.role == y.file.role &&
                                 x.file.heads == y.file.heads &&
                                 x.file.file_bytes == y.file.file_bytes &&
                                 x.file.pooling == y.file.pooling;
                      });
}

ModelFile unusual_model() {
    ModelFile model;
    model.architecture = "x";
    model.name = "a \"b\"\n\xc3\xa9";
    model.parameters = ~0ULL;
    model.heads = {1, 2, 3};
    model.window.layers = {true, false, true};
    model.pooling = 0;
    model.latent = {1, 2, 3};
    model.recurrence = {1, 2, 3, 4, 5};
    model.supports_thinking = true;
    model.role = ModelRole::reranker;
    model.projected_length = 4096;
    return model;
}

}  // namespace

TEST_CASE("Guards: what did not change is not opened again, good files and bad ones alike") {
    const Place place;
    place.models.write("a.gguf", model_bytes());
    place.models.write("sub/big-00001-of-00002.gguf", model_bytes({.split_count = 2}));
    place.models.write("sub/big-00002-of-00002.gguf",
                       model_bytes({.split_count = 2, .split_number = 1}));
    place.models.write("bad.gguf", "FUGG and more bytes than a header needs");
    const Catalogue first = place.scan();
    CHECK(first.files_opened == 4);
    const Catalogue second = place.scan();
    CHECK(second.files_opened == 0);
    CHECK(same(first, second));
    CHECK(second.models.size() == 2);
    CHECK(second.left_out.size() == 1);
    CHECK(second.index_warning.empty());
}

TEST_CASE("Guards: a file with other content, size or time is read again") {
    const Place place;
    const std::string path = place.models.write("a.gguf", model_bytes());
    CHECK(place.scan().files_opened == 1);
    // The same size and another time.
    place.models.write("a.gguf", model_bytes({.context = 4096}));
    const timespec times[2]{{0, UTIME_OMIT}, {1'000'000'000, 1}};
    REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
    const Catalogue changed = place.scan();
    CHECK(changed.files_opened == 1);
    CHECK(changed.models.at(0).file.context_length == 4096);
    // One nanosecond more.
    const timespec later[2]{{0, UTIME_OMIT}, {1'000'000'000, 2}};
    REQUIRE(::utimensat(AT_FDCWD, path.c_str(), later, 0) == 0);
    CHECK(place.scan().files_opened == 1);
    CHECK(place.scan().files_opened == 0);
    fs::resize_file(path, fs::file_size(path) - 1);
    const Catalogue cut = place.scan();
    CHECK(cut.files_opened == 1);
    CHECK(cut.models.empty());
    CHECK(lines(place.text()) == 2);  // the head and the newest content
}

TEST_CASE("Guards: a moved file is known by its inode, a vanished one is forgotten") {
    const Place place;
    const std::string path = place.models.write("a.gguf", model_bytes());
    place.models.write("b.gguf", model_bytes({.rows = 2}));
    (void)place.scan();
    fs::rename(path, place.models.path() / "c.gguf");
    CHECK(place.scan().files_opened == 0);
    fs::remove(place.models.path() / "b.gguf");
    CHECK(place.scan().models.size() == 1);
    CHECK(lines(place.text()) == 2);
}

TEST_CASE("Guards: scans of different directories do not forget each other's files") {
    const Place place;
    const TempFolder other;
    place.models.write("a.gguf", model_bytes());
    other.write("b.gguf", model_bytes());
    DiscoverOptions options;
    options.index_file = place.file;
    options.directories = {other.path().string()};
    CHECK(discover(options).catalogue.files_opened == 1);
    CHECK(place.scan().files_opened == 1);
    CHECK(discover(options).catalogue.files_opened == 0);
    CHECK(place.scan().files_opened == 0);
}

TEST_CASE("Guards: an index that is broken, foreign or newer is replaced with a warning") {
    const Place place;
    place.models.write("a.gguf", model_bytes());
    (void)place.scan();
    const std::string good = place.text();
    const std::vector<std::string> bad{"",
                                       "\n",
                                       "\xff\xfe",
                                       "{}\n",
                                       "[]\n",
                                       "{\"corral_model_index\":\"1\"}\n",
                                       "{\"corral_model_index\":2}\n",
                                       good + "[1,2]\n",
                                       good + "{}\n",
                                       good + "\n",
                                       good.substr(0, good.size() / 2),
                                       good + "[1,2,3,4,\"p\",[1]]\n",
                                       good + "[1,2,3,4,\"p\",\"\"]\n",
                                       good + "[-1,2,\"x\",4,\"p\",\"y\"]\n",
                                       good + std::string(10'000, '[') + "\n"};
    for (const std::string& text : bad) {
        INFO(text.substr(0, 80));
        std::ofstream(place.file, std::ios::trunc) << text;
        const Catalogue catalogue = place.scan();
        CHECK(catalogue.models.size() == 1);
        CHECK(catalogue.files_opened == 1);
        CHECK(catalogue.index_warning.find("made anew") != std::string::npos);
        const Catalogue again = place.scan();
        CHECK(again.files_opened == 0);
        CHECK(again.index_warning.empty());
    }
}

TEST_CASE("Guards: where no index can be written there is none, and that is no error") {
    Place place;
    place.models.write("a.gguf", model_bytes());
    place.state.write("file", "");
    place.file = (place.state.path() / "file/below/models.index").string();
    CHECK(place.scan().models.size() == 1);
    CHECK(place.scan().files_opened == 1);
    CHECK(place.scan().index_warning.empty());
    DiscoverOptions none;
    none.directories = {place.models.path().string()};
    CHECK(discover(none).catalogue.files_opened == 1);
}

TEST_CASE("Guards: every field of a model comes back from the index") {
    ModelIndex index;
    const FileKey key{1, 2, 3, -4};
    index.put(key, {"/m/x.gguf", unusual_model(), {}});
    index.put({1, 3, 3, 4}, {"/m/y.gguf", std::nullopt, "at offset 4: version 9"});
    std::string warning;
    ModelIndex again = ModelIndex::parse(index.text(), warning);
    CHECK(warning.empty());
    CHECK_FALSE(again.is_changed());
    const IndexEntry* entry = again.find(key);
    REQUIRE(entry != nullptr);
    REQUIRE(entry->model.has_value());
    const ModelFile expected = unusual_model();
    CHECK(entry->path == "/m/x.gguf");
    CHECK(entry->model->name == expected.name);
    CHECK(entry->model->parameters == expected.parameters);
    CHECK(entry->model->window.layers == expected.window.layers);
    CHECK(entry->model->pooling == expected.pooling);
    CHECK(entry->model->recurrence.attention_period == 5);
    CHECK(entry->model->latent.value_length == 3);
    CHECK(entry->model->role == ModelRole::reranker);
    CHECK(again.find({1, 3, 3, 4})->problem == "at offset 4: version 9");
    CHECK(again.text() == index.text());
    // What JSON cannot hold is not kept; the file is then read every time.
    ModelFile odd = unusual_model();
    odd.name = "\xff";
    index.put({9, 9, 9, 9}, {"/m/z.gguf", odd, {}});
    CHECK(index.find({9, 9, 9, 9}) == nullptr);
}
