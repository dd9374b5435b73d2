// The written config: loads without a complaint, gives back every word of every command, changes
// nothing when written again. Files lie in folders of their own.

#include "core/config_load.hpp"
#include "discovery/discovery.hpp"
#include "discovery/memory.hpp"
#include "discovery/model_command.hpp"
#include "discovery/text.hpp"
#include "tests/unit/discovery/fixtures.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

using namespace corral;
using corral::testing::found_model;
using corral::testing::has;
using corral::testing::model_bytes;
using corral::testing::projector_bytes;
using corral::testing::TempFolder;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t gibibyte = 1ULL << 30U;

const EnvironmentLookup nothing_set = [](const std::string&) -> std::optional<std::string> {
    return std::nullopt;
};

Discovery of(const std::vector<FoundModel>& models) {
    Discovery discovery;
    discovery.directories = {"/m"};
    discovery.catalogue.models = models;
    return discovery;
}

/// Loads what was written; every diagnostic counts as a failure.
Config load(const std::string& yaml) {
    const ConfigLoad load = load_config(yaml, "test", nothing_set);
    for (const Diagnostic& diagnostic : load.diagnostics) {
        FAIL_CHECK(format_diagnostic(diagnostic, false));
    }
    REQUIRE(load.config.has_value());
    return *load.config;
}

WrittenConfig write(const Discovery& discovery, const WriteOptions& options = {}) {
    const Result<WrittenConfig> written = write_config(discovery, options);
    REQUIRE_MESSAGE(written.has_value(), (written ? "" : written.error().detail));
    return *written;
}

std::vector<std::string> argv_of(const WrittenConfig& written, const std::string& id) {
    const ModelConfig* model = nullptr;
    const Config config = load(written.yaml);
    model = config.find_id(ModelId(id));
    REQUIRE(model != nullptr);
    return model->argv;
}

bool contains(const std::vector<std::string>& words, std::string_view word) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

// File names of safety.md case 140 and more of their kind: these come through a config …
const std::vector<std::string> names_kept{"a b",
                                          "-m",
                                          "--host 0.0.0.0",
                                          "$(touch pwn)",
                                          "`id`",
                                          "a;reboot",
                                          "a'b\"",
                                          "a\\",
                                          "a: b #c",
                                          "&x",
                                          "*x",
                                          "!x",
                                          "%YAML",
                                          "{x}",
                                          "- x",
                                          " leading",
                                          "trailing ",
                                          "#x",
                                          "''",
                                          "\"",
                                          "$HOME",
                                          "$PORT",
                                          "%PORT%",
                                          "a$",
                                          "[x]",
                                          "a\\nb",
                                          "\\",
                                          "a,b",
                                          "?x",
                                          "|",
                                          ">",
                                          "@x",
                                          "---",
                                          "...",
                                          "~",
                                          "null",
                                          "\xc3\xa9",
                                          "x # y",
                                          "\xf0\x9f\x90\xb4",
                                          "a=b",
                                          "a\\ b",
                                          "'a",
                                          std::string(250, 'x'),
                                          "\xe2\x80\xae"
                                          "abc",
                                          "$$",
                                          "}$",
                                          "$ {PORT}"};

// … and these cannot.
const std::vector<std::string> names_left{"a\nb",         "a${PORT}",     "\xff\xfe",
                                          "a\tb",         "a\rb",         "\x7f",
                                          "\xe2\x80\xa8", "\xef\xbb\xbf", "a${env.HOME}b"};

}  // namespace

TEST_CASE("the documented example comes out as documented") {
    WriteOptions options;
    options.gpus = {{"GPU", 8 * gibibyte}};
    const WrittenConfig written =
        write(of({found_model("/path/to/llama-3.2-1b-instruct-q4_k_m.gguf", 1.24)}), options);
    const Config config = load(written.yaml);
    REQUIRE(config.models.size() == 1);
    const ModelConfig& model = config.models.front();
    CHECK(model.id.str() == "llama3.2:1b-instruct");
    CHECK(model.argv == std::vector<std::string>{
                            "llama-server", "-m", "/path/to/llama-3.2-1b-instruct-q4_k_m.gguf",
                            "--port", "${PORT}", "--n-gpu-layers", "99", "--ctx-size", "2048"});
    CHECK(model.ttl == std::chrono::seconds(300));
    CHECK(model.health_check_timeout == std::chrono::seconds(30));
    CHECK(model.aliases == std::vector<std::string>{"gpt-3.5-turbo", "text-davinci-003",
                                                    "llama-3.2-1b-instruct-q4_k_m"});
    REQUIRE_FALSE(config.groups.empty());
    CHECK(config.groups.front().id == "default_group");
    CHECK(config.groups.front().swap);
    CHECK(config.groups.front().exclusive);
    CHECK(config.groups.front().members == std::vector<ModelId>{model.id});
    CHECK(has(written.yaml, "\"gpt-3.5-turbo\"  # the smallest model below 2B parameters\n"));
}

TEST_CASE("nothing found still gives a config that loads") {
    const WrittenConfig written = write(of({}));
    CHECK(load(written.yaml).models.empty());
}

TEST_CASE("embedding and reranking models get their flags") {
    const WrittenConfig written =
        write(of({found_model("/m/embed.gguf", 0.1, 1000, ModelRole::embedding),
                  found_model("/m/rank.gguf", 0.1, 1000, ModelRole::reranker),
                  found_model("/m/chat.gguf", 0.1, 1000)}));
    CHECK(contains(argv_of(written, "embed"), "--embeddings"));
    CHECK(contains(argv_of(written, "rank"), "--reranking"));
    CHECK_FALSE(contains(argv_of(written, "chat"), "--embeddings"));
}

TEST_CASE("GPU layers: none without a GPU, all when it surely fits, else the engine decides") {
    const FoundModel model = found_model("/m/a-7b.gguf", 7, 4 * gibibyte);
    const auto layers = [&](const FoundModel& which, const std::vector<Gpu>& gpus) {
        const std::vector<std::string> argv = make_command(which, "llama-server", gpus).argv;
        const auto flag = std::find(argv.begin(), argv.end(), "--n-gpu-layers");
        return flag == argv.end() ? std::string("engine") : *std::next(flag);
    };
    CHECK(layers(model, {}) == "0");
    CHECK(layers(model, {{"a", gibibyte}, {"b", 24 * gibibyte}}) == "99");
    CHECK(layers(model, {{"a", 4 * gibibyte}}) == "engine");
    CHECK(layers(model, {{"a", 3 * gibibyte}, {"b", 3 * gibibyte}}) == "engine");
    CHECK(layers(model, {{"a", 0}}) == "engine");
    FoundModel deep = model;
    deep.file.block_count = 126;
    CHECK(layers(deep, {{"b", 24 * gibibyte}}) == "999");
    FoundModel odd = model;
    odd.file.kv_heads.clear();
    CHECK(layers(odd, {{"b", 24 * gibibyte}}) == "engine");
}

TEST_CASE("context: 2048 up to 3B, 4096 above, never more than trained") {
    CHECK(context_size(found_model("/m/a-0.5b.gguf")) == 2048);
    CHECK(context_size(found_model("/m/a-3b.gguf", 3.2)) == 2048);
    CHECK(context_size(found_model("/m/a.gguf", 3.2)) == 4096);
    CHECK(context_size(found_model("/m/a-7b.gguf")) == 4096);
    FoundModel short_one = found_model("/m/a-7b.gguf");
    short_one.file.context_length = 512;
    CHECK(context_size(short_one) == 512);
    short_one.file.context_length = 0;
    CHECK(context_size(short_one) == 4096);
}

TEST_CASE("the memory estimate adds up, and saturates instead of overflowing") {
    FoundModel model = found_model("/m/a.gguf", 1, gibibyte);
    const std::uint64_t kv = 16 * 8 * (64 + 64) * 2 * 2048;
    CHECK(estimate_gpu_bytes(model.file, 2048) == gibibyte + kv + ((300 + 250) << 20));
    constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
    model.file.key_length = 1ULL << 24U;
    model.file.block_count = 16'384;
    model.file.kv_heads = {1U << 16U};
    CHECK(estimate_gpu_bytes(model.file, most) == most);
    model.file.kv_heads = {0, 2, 0, 2};
    CHECK(estimate_gpu_bytes(model.file, 1).has_value());
    model.file.kv_heads.clear();
    CHECK_FALSE(estimate_gpu_bytes(model.file, 1).has_value());
}

TEST_CASE("large models get more time to load") {
    const WrittenConfig written = write(of({found_model("/m/a-70b.gguf", 70, 40 * gibibyte)}));
    CHECK(load(written.yaml).models.front().health_check_timeout == std::chrono::seconds(400));
}

TEST_CASE("safety 132: what a file says of itself cannot leave its comment") {
    FoundModel model = found_model("/m/a-1b.gguf");
    for (const std::string& name :
         {std::string("x\nmodels: {}"), std::string("\x1b[2J"), std::string("\xe2\x80\xae"),
          std::string("\xff"), std::string(4096, 'x'), std::string("a\0b", 3)}) {
        model.file.name = name;
        const WrittenConfig written = write(of({model}));
        CHECK(load(written.yaml).models.size() == 1);
        CHECK(std::all_of(written.yaml.begin(), written.yaml.end(),
                          [](char c) { return c == '\n' || (c >= 0x20 && c < 0x7f); }));
    }
}

TEST_CASE("safety 140: any file name comes back byte for byte, or its file is left out") {
    const TempFolder folder;
    for (const std::string& name : names_kept) {
        folder.write("dir " + name + "/" + name + ".gguf", model_bytes());
        folder.write(name + ".gguf", model_bytes());
    }
    for (const std::string& name : names_left) {
        folder.write(name + ".gguf", model_bytes());
    }
    const Discovery discovery = discover({{folder.path().string()}, {}});
    CHECK(discovery.catalogue.left_out.size() == names_left.size());
    CHECK(discovery.catalogue.models.size() == 2 * names_kept.size());
    WriteOptions options;
    options.engine = "/opt/my engine/llama-server";
    const WrittenConfig written = write(discovery, options);
    CHECK(written.left_out.empty());
    const Config config = load(written.yaml);
    REQUIRE(config.models.size() == 2 * names_kept.size());
    for (const WrittenModel& model : written.models) {
        const ModelConfig* loaded = config.find_id(ModelId(model.id));
        REQUIRE(loaded != nullptr);
        REQUIRE(loaded->argv.size() == 9);
        CHECK(loaded->argv[0] == options.engine);
        CHECK(loaded->argv[1] == "-m");
        CHECK(loaded->argv[2] == model.path);
        CHECK(loaded->argv[3] == "--port");
        CHECK(fs::exists(loaded->argv[2]));
    }
}

TEST_CASE("safety 140: a projector's name and a folder's come back byte for byte, too") {
    // Guards: no file beside a model adds a word to its command.
    const TempFolder folder;
    std::set<std::string> projectors;
    for (const std::string& name : names_kept) {
        folder.write("at " + name + "/some-7b.gguf", model_bytes());
        projectors.insert(
            folder.write("at " + name + "/" + name + ".gguf", projector_bytes(64, true, false)));
    }
    for (const std::string& name : names_left) {
        folder.write("beside/" + name + ".gguf", projector_bytes(64, true, false));
    }
    folder.write("beside/some-7b.gguf", model_bytes());
    const Discovery discovery = discover({{folder.path().string()}, {}});
    CHECK(discovery.catalogue.left_out.size() == names_left.size());
    const Config config = load(write(discovery).yaml);
    CHECK(config.models.size() == names_kept.size() + 1);
    for (const ModelConfig& model : config.models) {
        const auto option = std::find(model.argv.begin(), model.argv.end(), "--mmproj");
        if (option == model.argv.end()) {
            CHECK(has(model.argv.at(2), "/beside/"));
            continue;
        }
        CHECK(projectors.erase(*std::next(option)) == 1);
        CHECK(model.argv.size() == 11);
    }
    CHECK(projectors.empty());
}

TEST_CASE("safety 140: paths of random signs come back byte for byte") {
    std::mt19937 random(140);
    const std::vector<std::string> signs{" ", "  ", "'", "\"", "\\",       "#",    "$",  "{",
                                         "}", "`",  "*", "&",  "!",        "%",    "|",  ">",
                                         "-", "a",  "~", ":",  ": ",       " #",   "?",  ",",
                                         "[", "]",  "@", "=",  "\xc3\xa9", "\\\\", "''", "$("};
    std::vector<FoundModel> models;
    std::set<std::string> paths;
    while (models.size() < 1'000) {
        std::string path = "/m/";
        for (std::size_t length = random() % 12; length > 0; --length) {
            path += signs[random() % signs.size()];
        }
        path += ".gguf";
        if (path_problem(path).empty() && paths.insert(path).second) {
            models.push_back(found_model(path));
        }
    }
    const WrittenConfig written = write(of(models));
    CHECK(written.left_out.empty());
    const Config config = load(written.yaml);
    CHECK(config.models.size() == models.size());
    for (const ModelConfig& model : config.models) {
        CHECK(paths.erase(model.argv.at(2)) == 1);
    }
    CHECK(paths.empty());
}

TEST_CASE("an engine that cannot stand in a config is an error, not a broken file") {
    for (const char* engine : {"", "a\nb", "${PORT}", "\xff"}) {
        WriteOptions options;
        options.engine = engine;
        CHECK_FALSE(write_config(of({found_model("/m/a-1b.gguf")}), options).has_value());
    }
}

TEST_CASE("written again from what was written, not a byte changes") {
    const TempFolder folder;
    for (const char* name :
         {"llama-3.2-1b-instruct-q4_k_m", "llama-3.2-1b-instruct-q8_0",
          "tinyllama-1.1b-chat-v1.0.Q4_K_S", "sub/tinyllama-1.1b-chat-v1.0.Q4_K_S",
          "gemma-3-4b-it-Q4_K_M", "odd name", "mistral-7b-instruct-v0.1.Q4_K_M",
          "mistral-7b-instruct-v0.2.Q4_K_M"}) {
        folder.write(std::string(name) + ".gguf", model_bytes());
    }
    const DiscoverOptions where{{folder.path().string()}, {}};
    const WrittenConfig first = write(discover(where));
    CHECK(write(discover(where)).yaml == first.yaml);
    WriteOptions again;
    again.given = given_names(load(first.yaml));
    CHECK(again.given.size() == 8);
    const WrittenConfig second = write(discover(where), again);
    CHECK(second.yaml == first.yaml);
}

TEST_CASE("an older file counts as untouched when its checksum fits") {
    // Guards: the files of the version before blocks are written anew only when nobody changed
    // them.
    const std::string body = "\nmodels:\n  a:\n    cmd: x\n";
    const std::string old = "# head\n# checksum: d974a83aa6969a16\n" + body;
    CHECK(is_untouched(old));
    CHECK_FALSE(is_untouched(old + "    ttl: 1\n"));
    CHECK_FALSE(is_untouched(""));
    CHECK_FALSE(is_untouched("models: {}\n"));
}

TEST_CASE("more models than a config holds are told, not lost in silence") {
    std::vector<FoundModel> models;
    for (int i = 0; i < 10'001; ++i) {
        models.push_back(found_model("/m/" + std::to_string(100'000 + i) + "/x/same-7b.gguf"));
    }
    const WrittenConfig written = write(of(models));
    CHECK(written.models.size() == 10'000);
    REQUIRE(written.left_out.size() == 1);
    CHECK(written.left_out.front().path == models.back().path);
}

TEST_CASE("AMD cards are read from the kernel's files, their sockets are not cards") {
    const TempFolder folder;
    folder.write("card1/device/mem_info_vram_total", "17163091968\n");
    folder.write("card0/device/vendor", "0x8086\n");
    folder.write("card1-DP-1/device/mem_info_vram_total", "1\n");
    folder.write("card2/device/mem_info_vram_total", "garbage\n");
    CHECK(read_amd_gpus(folder.path().string()) == std::vector<Gpu>{{"AMD GPU", 17163091968ULL}});
    CHECK(read_amd_gpus((folder.path() / "missing").string()).empty());
}
