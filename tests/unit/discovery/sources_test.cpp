// Where models are looked for, and what the caches' names say.

#include "discovery/sources.hpp"

#include "discovery/discovery.hpp"
#include "tests/unit/discovery/fixtures.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

using namespace corral;
using corral::testing::model_bytes;
using corral::testing::TempFolder;
namespace fs = std::filesystem;

namespace {

using Variables = std::map<std::string, std::string>;
using Paths = std::vector<std::string>;

EnvironmentLookup lookup(const Variables& variables) {
    return [=](const std::string& name) -> std::optional<std::string> {
        const auto found = variables.find(name);
        return found == variables.end() ? std::nullopt : std::optional(found->second);
    };
}

Paths places(const Variables& variables) {
    return default_model_directories(lookup(variables));
}

bool contains(const Paths& list, const std::string& path) {
    return std::find(list.begin(), list.end(), path) != list.end();
}

std::string reason(const Catalogue& catalogue, const std::string& end) {
    for (const LeftOut& item : catalogue.left_out) {
        if (item.path.ends_with(end)) {
            return item.reason;
        }
    }
    return {};
}

/// A file of a repository in the hub's cache, as its clients lay it: a link into the blobs.
void add_to_hub(const TempFolder& folder, const std::string& repository, const std::string& commit,
                const std::string& file, const std::string& blob, const std::string& bytes) {
    const fs::path root = folder.path() / repository;
    folder.write(repository + "/blobs/" + blob, bytes);
    const fs::path link = root / "snapshots" / commit / file;
    fs::create_directories(link.parent_path());
    fs::create_symlink(root / "blobs" / blob, link);
}

}  // namespace

TEST_CASE("Guards: by default everything is looked at where programs keep models") {
    CHECK(places({{"HOME", "/home/x"}}) ==
          Paths{"/home/x/.clara/llama-models", "/home/x/.local/share/corral/models",
                "/var/lib/corral/models", "/home/x/.lmstudio/models",
                "/home/x/.cache/lm-studio/models", "/home/x/.cache/llama.cpp",
                "/home/x/.cache/huggingface/hub"});
    CHECK(places({}) == Paths{"/var/lib/corral/models"});
}

TEST_CASE("Guards: the XDG variables move the places, and relative paths count as not set") {
    const Paths moved =
        places({{"HOME", "/h"}, {"XDG_DATA_HOME", "/d"}, {"XDG_CACHE_HOME", "/c/"}});
    CHECK(contains(moved, "/d/corral/models"));
    CHECK(contains(moved, "/c/llama.cpp"));
    CHECK_FALSE(contains(moved, "/h/.local/share/corral/models"));
    CHECK(places({{"HOME", "/h"}, {"XDG_DATA_HOME", "d"}, {"HF_HOME", "x"}}) ==
          places({{"HOME", "/h"}}));
}

TEST_CASE("Guards: the hub's cache is where the first of its variables says") {
    const Variables all{{"HOME", "/h"},
                        {"HF_HUB_CACHE", "/1"},
                        {"HUGGINGFACE_HUB_CACHE", "/2"},
                        {"HF_HOME", "/3"},
                        {"XDG_CACHE_HOME", "/4"}};
    CHECK(places(all).back() == "/1");
    CHECK(places({{"HUGGINGFACE_HUB_CACHE", "/2"}, {"HF_HOME", "/3"}}).back() == "/2");
    CHECK(places({{"HF_HOME", "/3"}, {"XDG_CACHE_HOME", "/4"}}).back() == "/3/hub");
    CHECK(places({{"XDG_CACHE_HOME", "/4"}}).back() == "/4/huggingface/hub");
    CHECK(contains(places({{"LLAMA_CACHE", "/l/"}}), "/l"));
}

TEST_CASE("Guards: LM Studio's folder is found where its pointer says") {
    const TempFolder folder;
    const std::string home = folder.path().string();
    folder.write(".lmstudio-home-pointer", "/big/disk/studio\n");
    CHECK(contains(places({{"HOME", home}}), "/big/disk/studio/models"));
    folder.write(".lmstudio-home-pointer", "../elsewhere");
    CHECK(places({{"HOME", home}}).size() == 7);
    CHECK(contains(places({{"HOME", home}}), home + "/.lmstudio/models"));
}

TEST_CASE("Guards: of the hub's cache every model is listed once, by the current snapshot") {
    const TempFolder folder;
    const std::string repository = "models--org--some-model-1B-GGUF";
    // By name and age the old snapshot would come first.
    add_to_hub(folder, repository, "aaaa", "some-model-1b.gguf", "b1", model_bytes({.rows = 2}));
    add_to_hub(folder, repository, "aaaa", "some-model-1b-Q8_0.gguf", "b2", model_bytes());
    add_to_hub(folder, repository, "bbbb", "some-model-1b.gguf", "b3", model_bytes());
    folder.write(repository + "/refs/main", "bbbb");
    folder.write(repository + "/blobs/c0ffee.incomplete", "GG");
    folder.write(repository + "/blobs/c0ffee2.downloadInProgress", "GG");
    const Catalogue catalogue = read_catalogue({folder.path().string()});
    REQUIRE(catalogue.models.size() == 2);
    CHECK(catalogue.models[0].path.ends_with("aaaa/some-model-1b-Q8_0.gguf"));
    CHECK(catalogue.models[1].path.ends_with("bbbb/some-model-1b.gguf"));
    CHECK(catalogue.models[1].repository == "org/some-model-1B-GGUF");
    CHECK(catalogue.models[1].file_name.name == "some-model1:b");
    CHECK(reason(catalogue, "aaaa/some-model-1b.gguf").starts_with("an older snapshot of "));
    CHECK(reason(catalogue, "c0ffee.incomplete") == "a download that is not complete");
    CHECK(reason(catalogue, "c0ffee2.downloadInProgress") == "a download that is not complete");
    CHECK(catalogue.left_out.size() == 3);
}

TEST_CASE("Guards: a repository's folders and its root are models' places, its blobs are not") {
    const TempFolder folder;
    const std::string repository = "models--org--m-GGUF";
    add_to_hub(folder, repository, "cccc", "BF16/m-7b.gguf", "b1.gguf", model_bytes());
    folder.write("datasets--org--m/snapshots/cccc/m-7b.gguf", model_bytes());
    CHECK(read_catalogue({folder.path().string()}).models.size() == 1);
    // The walk may begin at the repository itself, and no snapshot may be the current one.
    const Catalogue catalogue = read_catalogue({(folder.path() / repository).string()});
    REQUIRE(catalogue.models.size() == 1);
    CHECK(catalogue.models[0].path.ends_with("cccc/BF16/m-7b.gguf"));
    CHECK(catalogue.left_out.empty());
}

TEST_CASE("Guards: a link whose blob is not there yet is left out") {
    const TempFolder folder;
    add_to_hub(folder, "models--o--m-GGUF", "dddd", "m-7b.gguf", "b", model_bytes());
    fs::remove(folder.path() / "models--o--m-GGUF/blobs/b");
    const Catalogue catalogue = read_catalogue({folder.path().string()});
    CHECK(catalogue.models.empty());
    CHECK_FALSE(reason(catalogue, "m-7b.gguf").empty());
}

TEST_CASE("Guards: a file that is called by nothing gets its repository's name") {
    const TempFolder folder;
    add_to_hub(folder, "models--org--Qwen3-4B-GGUF", "eeee", "ggml-model-q4_0.gguf", "b",
               model_bytes());
    const Catalogue catalogue = read_catalogue({folder.path().string()});
    REQUIRE(catalogue.models.size() == 1);
    CHECK(catalogue.models[0].file_name.name == "qwen3:4b");
    CHECK(catalogue.models[0].file_name.quantization == "q4_0");
}

TEST_CASE("Guards: llama.cpp's own cache puts the repository before the name") {
    const TempFolder folder;
    const std::string file = "llama.cpp/ggml-org_gemma-3-4b-it-GGUF_gemma-3-4b-it-Q4_K_M.gguf";
    folder.write(file, model_bytes());
    folder.write("llama.cpp/some_org_its_model_m-1b-chat.gguf", model_bytes({.rows = 2}));
    folder.write("llama.cpp/manifest=some_org=its_model=latest.json", "{}");
    const Catalogue catalogue = read_catalogue({folder.path().string()});
    REQUIRE(catalogue.models.size() == 2);
    CHECK(catalogue.models[0].repository == "ggml-org/gemma-3-4b-it-GGUF");
    CHECK(catalogue.models[0].file_name.name == "gemma3:4b-it");
    CHECK(catalogue.models[1].repository == "some_org/its_model");
    CHECK(catalogue.models[1].file_name.name == "m1:b-chat");
}

TEST_CASE("Guards: names of caches are read only where they are caches") {
    CHECK(hub_repository("models--org--a--b") == "org/a--b");
    CHECK(hub_repository("models--gpt2") == "gpt2");
    CHECK(hub_repository("models--").empty());
    CHECK(hub_repository("datasets--a--b").empty());
    CHECK_FALSE(read_cache_path("/m/org_a-GGUF_a.gguf", {}).has_value());
    CHECK_FALSE(read_cache_path("/llama.cpp/plain.gguf", {}).has_value());
    CHECK_FALSE(read_cache_path("/llama.cpp/-GGUF_a.gguf", {"manifest=", "manifest=a=.json"}));
    CHECK(read_cache_path("/x/a_b_c.gguf", {"manifest=a=b=t.json"})->file_name == "c.gguf");
    CHECK_FALSE(read_cache_path("x.gguf", {}).has_value());
}

TEST_CASE("Guards: the state directory is systemd's, else by XDG, else none") {
    CHECK(state_directory(lookup({{"STATE_DIRECTORY", "/s:/t"}, {"HOME", "/h"}})) == "/s");
    CHECK(state_directory(lookup({{"XDG_STATE_HOME", "/x"}, {"HOME", "/h"}})) == "/x/corral");
    CHECK(state_directory(lookup({{"HOME", "/h"}})) == "/h/.local/state/corral");
    CHECK(state_directory(lookup({})).empty());
    CHECK(index_file(lookup({})).empty());
    CHECK(index_file(lookup({{"HOME", "/h"}})) == "/h/.local/state/corral/models.index");
}
