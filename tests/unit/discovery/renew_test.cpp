// Renewing a whole config: names that stay, models of somebody's own, what is remembered, and the
// proof that nothing else changed its meaning. No files but those that are made up.

#include "discovery/renew.hpp"

#include "discovery/file_pattern.hpp"
#include "discovery/unified_diff.hpp"
#include "tests/unit/discovery/fixtures.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

using namespace corral;
using corral::testing::found_model;
using corral::testing::has;

namespace {

/// A disk and a config, scanned as the commands do.
struct Place {
    std::map<std::string, FoundModel> disk;
    std::map<std::string, FileFingerprint> identities;
    std::string text;
    Remembered remembered;
    WriteOptions write;
    MergeReport report;
    std::vector<std::string> not_forgotten;

    void put(const std::string& path, double billions = 1, std::uint64_t inode = 0) {
        disk.insert_or_assign(path, found_model(path, billions));
        identities[path] = {1, inode != 0 ? inode : 1000 + identities.size(), 1U << 30U};
    }
    void take(const std::string& path) {
        disk.erase(path);
        identities.erase(path);
    }
    std::string try_scan(const std::vector<std::string>& forget = {}) {
        Discovery discovery;
        for (const auto& [path, model] : disk) {
            discovery.catalogue.models.push_back(model);
        }
        RenewOptions options;
        options.write = write;
        options.existing = text;
        options.origin = "c.yaml";
        options.remembered = remembered;
        options.forget = forget;
        options.today = "2026-11-26";
        options.exists = [this](const std::string& path) { return identities.contains(path); };
        options.identify = [this](const std::string& path) {
            const auto at = identities.find(path);
            return at == identities.end() ? FileFingerprint{} : at->second;
        };
        const Result<Renewal> renewal = renew_config(discovery, options);
        if (!renewal) {
            return renewal.error().detail;
        }
        text = renewal->written.yaml;
        remembered = renewal->remembered;
        report = renewal->report;
        not_forgotten = renewal->not_forgotten;
        return {};
    }
    void scan(const std::vector<std::string>& forget = {}) { REQUIRE(try_scan(forget) == ""); }
    [[nodiscard]] Config config() const {
        auto loaded = load_config(text, "c.yaml", [](const std::string&) { return std::nullopt; });
        REQUIRE_MESSAGE(loaded.config.has_value(), text);
        return *loaded.config;
    }
    [[nodiscard]] std::vector<std::string> ids() const {
        std::vector<std::string> out;
        for (const ModelConfig& model : config().models) {
            out.push_back(model.id.str());
        }
        return out;
    }
    void edit(const std::string& from, const std::string& to) {
        const std::size_t at = text.find(from);
        REQUIRE(at != std::string::npos);
        text.replace(at, from.size(), to);
    }
    /// The block of a model, with its marker.
    [[nodiscard]] std::string block(const std::string& id) const {
        for (const ConfigPiece& piece : split_config(text)) {
            if (piece.is_block && piece.block.id == id) {
                return piece.text;
            }
        }
        return {};
    }
};

using Ids = std::vector<std::string>;

}  // namespace

TEST_CASE("names stay with their file through a second quantization, a move and a lost config") {
    // Guards: no scan ever renames a model.
    Place place;
    place.put("/m/llama-3.2-1b-instruct-q5_0.gguf", 1, 7);
    place.scan();
    CHECK(place.ids() == Ids{"llama3.2:1b-instruct"});
    place.put("/m/llama-3.2-1b-instruct-Q4_K_M.gguf", 1, 8);
    place.scan();
    CHECK(place.ids() == Ids{"llama3.2:1b-instruct", "llama3.2:1b-instruct-q4_k_m"});
    place.take("/m/llama-3.2-1b-instruct-q5_0.gguf");
    place.take("/m/llama-3.2-1b-instruct-Q4_K_M.gguf");
    place.put("/n/renamed-7b.gguf", 1, 7);                     // by inode
    place.put("/n/llama-3.2-1b-instruct-Q4_K_M.gguf", 1, 99);  // by name and size
    place.scan();
    CHECK(place.ids() == Ids{"llama3.2:1b-instruct", "llama3.2:1b-instruct-q4_k_m"});
    CHECK(has(place.block("llama3.2:1b-instruct"), "model=\"/n/renamed-7b.gguf\""));
    CHECK_FALSE(has(place.text, "gone since"));
    place.text.clear();
    place.scan();
    CHECK(has(place.block("llama3.2:1b-instruct"), "model=\"/n/renamed-7b.gguf\""));
}

TEST_CASE("an OpenAI alias stays, passes on when its model goes, and is not taken back") {
    // Guards: clients that ask for gpt-4 are served, and by the same model as long as there is one.
    Place place;
    place.put("/m/a-7b.gguf", 7);
    place.scan();
    place.put("/m/b-70b.gguf", 70);
    place.scan();
    CHECK(place.config().find("gpt-4")->id.str() == "a7:b");
    place.take("/m/a-7b.gguf");
    place.scan();
    CHECK(place.config().find("gpt-4")->id.str() == "b70:b");
    place.put("/m/a-7b.gguf", 7);
    place.scan();
    CHECK(place.ids() == Ids{"a7:b", "b70:b"});
    CHECK(place.config().find("gpt-4")->id.str() == "b70:b");
}

TEST_CASE("what was taken out is remembered, and a lost config begins anew") {
    // Guards: the memory of deletions, its way back, and its end.
    Place place;
    place.put("/m/a-7b.gguf");
    place.put("/m/b-7b.gguf");
    place.scan();
    place.edit(place.block("a7:b"), "");
    place.scan();
    place.scan();
    CHECK(place.ids() == Ids{"b7:b"});
    CHECK(place.report.deleted == Ids{"a7:b"});
    place.scan({"nobody"});
    CHECK(place.not_forgotten == Ids{"nobody"});
    place.scan({"a-7b"});  // by alias
    CHECK(place.ids() == Ids{"a7:b", "b7:b"});
    place.edit(place.block("default_group"), "");
    place.scan();
    CHECK_FALSE(has(place.text, "default_group"));
    place.scan({"all"});
    CHECK(has(place.text, "default_group"));
    place.edit(place.block("a7:b"), "");
    place.scan();
    place.text = "";
    place.scan();
    CHECK(place.ids() == Ids{"a7:b", "b7:b"});
}

TEST_CASE("a model of somebody's own is neither doubled nor robbed of its names") {
    // Guards: generated names make room for written ones.
    Place place;
    place.put("/m/a-7b.gguf", 7);
    place.put("/m/b-7b.gguf", 7);
    place.text =
        "models:\n  a7:b:\n    cmd: x ${PORT} -m /m/b-7b.gguf\n    aliases: [gpt-4]\n"
        "selectors:\n  s: {strategy: warm, targets: [a7:b]}\n";
    const std::string before = place.text;
    place.scan();
    const Config config = place.config();
    CHECK(config.models.size() == 2);
    CHECK(config.find("gpt-4")->id.str() == "a7:b");
    CHECK(std::count(place.text.begin(), place.text.end(), '#') > 0);
    CHECK(has(place.text, before.substr(0, before.find("selectors"))));
    CHECK(has(place.text, before.substr(before.find("selectors"))));
    const std::string once = place.text;
    place.scan();
    CHECK(place.text == once);
}

TEST_CASE("what somebody says about a model keeps it in force when its file has gone") {
    // Guards: commenting out must not make a config that cannot be loaded.
    Place place;
    place.put("/m/a-7b.gguf");
    place.put("/m/b-7b.gguf");
    place.scan();
    place.text += "profiles:\n  p: {pins: {x: \"a7:b\"}}\n";
    place.take("/m/a-7b.gguf");
    place.take("/m/b-7b.gguf");
    place.scan();
    CHECK(place.ids() == Ids{"a7:b", "b7:b"});
    CHECK(place.report.absent == Ids{"a7:b", "b7:b"});
}

TEST_CASE("a file with mistakes stays, and the error names the place") {
    // Guards: no guess about a text that cannot be read.
    Place place;
    place.put("/m/a-7b.gguf");
    place.text = "models: [\n";
    const std::string before = place.text;
    CHECK(has(place.try_scan(), "c.yaml:"));
    CHECK(place.text == before);
    place.text = "models: {own: {cmd: \"x ${PORT}\"}}\n";
    CHECK(has(place.try_scan(), "line 1"));
}

TEST_CASE("old files: untouched ones are written anew with their names, changed ones are kept") {
    // Guards: the step from one checksum a file to one hash a block.
    const std::string body = "\nmodels:\n  \"mine\":\n    cmd: x ${PORT} -m /m/a-7b.gguf\n";
    Place place;
    place.put("/m/a-7b.gguf");
    place.put("/m/b-7b.gguf");
    place.text = "# checksum: 89be274984c29ecc\n" + body;
    REQUIRE(is_untouched(place.text));
    place.scan();
    CHECK(place.ids() == Ids{"b7:b", "mine"});
    CHECK_FALSE(has(place.text, "checksum"));
    place.text = "# checksum: 0000000000000000\n" + body;
    place.remembered = {};
    place.scan();
    CHECK(place.ids() == Ids{"b7:b", "mine"});
    CHECK(has(place.text, body));
    CHECK(place.block("mine").empty());
}

TEST_CASE("settings: names, aliases, overrides and no group") {
    // Guards: `discovery:` decides, and the wish of today is stronger than the name of before.
    Place place;
    place.put("/m/Llama-3.2-1B-Q8_0.gguf");
    place.put("/m/big-coder-70b.gguf", 70);
    place.put("/m/old/x-7b.gguf", 7);
    place.write.settings.naming = NamingRule::filename;
    place.write.settings.openai_aliases = false;
    place.write.settings.exclusive_group = false;
    place.write.settings.alias_rules = {{"coder", "*CODER*"}};
    place.write.settings.overrides = {
        {"*/old/*", true, {}, {}, {}, {}, {}, ""},
        {"*coder*", false, std::chrono::seconds(0), 9000, 6, 33, {"--words", "a b"}, "house"}};
    place.scan();
    CHECK(place.ids() == Ids{"Llama-3.2-1B-Q8_0", "house"});
    const Config config = place.config();
    const ModelConfig* house = config.find("coder");
    REQUIRE(house != nullptr);
    CHECK(house->ttl == std::chrono::seconds(0));
    CHECK(std::vector<std::string>(house->argv.end() - 2, house->argv.end()) ==
          std::vector<std::string>{"--words", "a b"});
    CHECK(house->limits.threads == 6U);
    CHECK(house->limits.gpu_layers == 33U);
    for (const auto& flag : {std::pair("--threads", "6"), std::pair("--n-gpu-layers", "33")}) {
        const auto at = std::find(house->argv.begin(), house->argv.end(), flag.first);
        REQUIRE(at + 1 < house->argv.end());
        CHECK(*(at + 1) == flag.second);
    }
    CHECK(std::find(house->argv.begin(), house->argv.end(), "9000") != house->argv.end());
    CHECK(config.find("gpt-4") == nullptr);
    CHECK(config.find("llama3.2:1b")->id.str() == "Llama-3.2-1B-Q8_0");
    CHECK_FALSE(has(place.text, "default_group"));
    CHECK(config.discovery.overrides == place.write.settings.overrides);
    place.write.settings.overrides.pop_back();
    place.write.settings.overrides.push_back({"*coder*", false, {}, {}, {}, {}, {}, "other"});
    place.scan();
    CHECK(place.ids() == Ids{"Llama-3.2-1B-Q8_0", "other"});
}

TEST_CASE("what is remembered is read as it was written") {
    // Guards: the state file, and that a damaged one is told.
    RememberedConfigs configs;
    configs["/c.yaml"].models["/m/\xc3\xa9 \"x.gguf"] = {"id", {"a", "b"}, {1, 2, 3}, true};
    configs["/c.yaml"].group_written = true;
    configs[""].group_deleted = true;
    const auto read = parse_remembered(remembered_text(configs));
    REQUIRE(read.has_value());
    CHECK(*read == configs);
    CHECK(parse_remembered("")->empty());
    for (const char* text : {"{", "[]", "{\"version\":2,\"configs\":{}}", "{\"version\":1}",
                             "{\"version\":1,\"configs\":{\"a\":{\"models\":[1]}}}"}) {
        CHECK_FALSE(parse_remembered(text).has_value());
    }
}

TEST_CASE("patterns mean the name, or with a slash the path") {
    // Guards: what `discovery.overrides` and its options match.
    CHECK(matches_file("*q4*", "/m/a-Q4_K_M.gguf"));
    CHECK(matches_file("a?c.gguf", "/m/aBc.gguf"));
    CHECK(matches_file("*/m/*", "/x/m/a.gguf"));
    CHECK_FALSE(matches_file("m", "/m/a.gguf"));
    CHECK_FALSE(matches_file("", "/m/a.gguf"));
    CHECK(matches_file("*", "/m/a.gguf"));
    CHECK_FALSE(matches_file("*a*b*c*d*e*f*g*h*z", "/m/" + std::string(5000, 'a')));
}

namespace {

/// What `patch` does with a unified diff.
std::string patched(const std::string& before, const std::string& diff) {
    const auto lines = split_lines(before);
    const auto steps = split_lines(diff);
    std::string out;
    std::size_t at = 0;
    for (std::size_t i = 2; i < steps.size(); ++i) {
        const std::string step(steps[i]);
        if (step.starts_with("@@ -")) {
            const std::size_t first = std::stoul(step.substr(4));
            const bool empty = step.find(",0 +") != std::string::npos;
            for (const std::size_t to = empty ? first : first - 1; at < to; ++at) {
                out += lines[at];
            }
        } else if (step.starts_with("\\")) {
            if (out.ends_with('\n') && !steps[i - 1].starts_with('-')) {
                out.pop_back();
            }
        } else {
            at += step[0] != '+' ? 1 : 0;
            out += step[0] != '-' ? step.substr(1) : "";
        }
    }
    for (; at < lines.size(); ++at) {
        out += lines[at];
    }
    return out;
}

}  // namespace

TEST_CASE("a diff is a patch of the one text into the other") {
    // Guards: what --diff prints can be applied, whatever the texts are.
    std::mt19937 random(7);
    const auto text = [&] {
        std::string out;
        for (std::size_t count = random() % 30; count > 0; --count) {
            out += std::string(1, static_cast<char>('a' + random() % 4)) + "\n";
        }
        return random() % 4 == 0 ? out + "end" : out;
    };
    for (int round = 0; round < 500; ++round) {
        const std::string before = text();
        const std::string after = random() % 8 == 0 ? before : text();
        const std::string diff = unified_diff(before, after, "a", "b");
        CHECK(diff.empty() == (before == after));
        if (!diff.empty()) {
            CHECK(diff.starts_with("--- a\n+++ b\n@@ -"));
            CHECK(patched(before, diff) == after);
        }
    }
}
