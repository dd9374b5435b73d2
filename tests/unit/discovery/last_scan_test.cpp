// A scan that is kept and given again instead of being worked out.

#include "discovery/last_scan.hpp"

#include "tests/unit/discovery/fixtures.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace corral;
using corral::testing::found_model;

namespace {

Renewal renew(const Discovery& discovery, const std::string& existing = "",
              const Remembered& remembered = {}) {
    RenewOptions options;
    options.existing = existing;
    options.origin = "c.yaml";
    options.remembered = remembered;
    options.today = "2026-11-26";
    options.environment = [](const std::string&) { return "/home"; };
    const Result<Renewal> renewal = renew_config(discovery, options);
    REQUIRE(renewal.has_value());
    return *renewal;
}

Discovery two_models() {
    Discovery discovery;
    discovery.catalogue.models = {found_model("/m/a-7b-chat.gguf", 7),
                                  found_model("/m/b-1b-q8_0.gguf", 1)};
    return discovery;
}

LastScan full_scan() {
    LastScan last;
    last.question = ~0ULL;
    last.disk = 1;
    last.directories = {"/m", ""};
    last.models = {{"a", {"b", "c d"}, "/m/a\n.gguf", {"why"}}, {"", {}, "", {}}};
    last.left_out = {{std::string("\0\xFF", 2), "12 why"}};
    last.text = "models:\n";
    return last;
}

}  // namespace

TEST_CASE("what is kept comes back as it was, and nothing else does") {
    // Guards: a file that is cut, longer or somebody else's is never taken for an answer.
    const std::string text = last_scan_text(full_scan());
    CHECK(parse_last_scan(text) == full_scan());
    for (std::size_t length = 0; length < text.size(); ++length) {
        CHECK_FALSE(parse_last_scan(text.substr(0, length)).has_value());
    }
    CHECK_FALSE(parse_last_scan(text + " ").has_value());
    CHECK_FALSE(parse_last_scan("corral_last_scan 2\n1 2 99999999999999999 ").has_value());
    CHECK_FALSE(parse_last_scan("{}").has_value());
}

TEST_CASE("what is kept is what would be worked out") {
    // Guards: the short way gives the same text, models and report as the long one.
    const Discovery discovery = two_models();
    const Renewal first = renew(discovery);
    for (const std::string& existing : {first.written.yaml, std::string()}) {
        const std::optional<LastScan> last = scan_to_keep(first, existing);
        REQUIRE(last.has_value());
        const std::optional<Renewal> again = kept_renewal(*last, discovery, existing);
        REQUIRE(again.has_value());
        const Renewal worked_out = renew(discovery, existing, first.remembered);
        CHECK(again->written.yaml == worked_out.written.yaml);
        CHECK(again->report.added == worked_out.report.added);
        REQUIRE(again->written.models.size() == 2);
        for (std::size_t i = 0; i < 2; ++i) {
            CHECK(again->written.models[i].id == worked_out.written.models[i].id);
            CHECK(again->written.models[i].aliases == worked_out.written.models[i].aliases);
            CHECK(again->written.models[i].found == worked_out.written.models[i].found);
        }
        CHECK(worked_out.remembered == first.remembered);
    }
}

TEST_CASE("where something is left to be said nothing is kept") {
    // Guards: edits, models taken out and models of one's own are told at every scan, and a config
    // that reads the environment is read each time.
    const Discovery discovery = two_models();
    const Renewal first = renew(discovery);
    const std::string& text = first.written.yaml;
    const auto keeps = [&](const std::string& existing) {
        return scan_to_keep(renew(discovery, existing, first.remembered), existing).has_value();
    };
    CHECK(keeps(text));
    std::string edited = text;
    edited.replace(edited.find("    ttl: 300"), 12, "    ttl: 301");
    CHECK_FALSE(keeps(edited));
    std::string shorter = text;
    const std::size_t begin = shorter.find("  # corral: model=");
    shorter.erase(begin, shorter.find("  # corral: ", begin + 5) - begin);
    CHECK_FALSE(keeps(shorter));
    CHECK_FALSE(keeps("models:\n  mine:\n    cmd: x -m /m/a-7b-chat.gguf --port ${PORT}\n"));
    CHECK(keeps(text + "\n# a word\n"));
    CHECK_FALSE(keeps(text + "\nmacros: {x: \"${env.HOME}\"}\n"));
}

TEST_CASE("what is kept needs its models") {
    // Guards: an answer about a model that is not there any more is none.
    Discovery discovery = two_models();
    const std::optional<LastScan> last = scan_to_keep(renew(discovery), "");
    REQUIRE(last.has_value());
    discovery.catalogue.models.erase(discovery.catalogue.models.begin());
    CHECK_FALSE(kept_renewal(*last, discovery, "").has_value());
}

TEST_CASE("the fingerprint of a catalogue sees every file, what was left out, and the GPUs") {
    // Guards: whatever changes what is written changes it.
    Discovery discovery = two_models();
    discovery.directories = {"/m"};
    const std::uint64_t before = fingerprint_of(discovery, {});
    CHECK(fingerprint_of(discovery, {}) == before);
    CHECK(fingerprint_of(discovery, {{"card", 1}}) != before);
    Discovery other = discovery;
    other.catalogue.files_fingerprint = 1;
    CHECK(fingerprint_of(other, {}) != before);
    other = discovery;
    other.directories = {"/n"};
    CHECK(fingerprint_of(other, {}) != before);
    other = discovery;
    other.catalogue.left_out = {{"/m/x", "broken"}};
    CHECK(fingerprint_of(other, {}) != before);
}
