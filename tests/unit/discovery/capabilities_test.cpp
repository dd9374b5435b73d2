// What a model can do, as the config tells it. Pure.

#include "discovery/capabilities.hpp"

#include "tests/unit/discovery/fixtures.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace corral;
using corral::testing::found_model;
using Words = std::vector<std::string>;

namespace {

/// The entry's text, number or flag as text; empty when there is none.
std::string entry(const FoundModel& model, std::string_view key) {
    for (const MetadataEntry& item : metadata_of(model)) {
        if (item.key != key) {
            continue;
        }
        if (const auto* text = std::get_if<std::string>(&item.value)) {
            return *text;
        }
        if (const auto* number = std::get_if<std::uint64_t>(&item.value)) {
            return std::to_string(*number);
        }
        return std::get<bool>(item.value) ? "true" : "false";
    }
    return {};
}

}  // namespace

TEST_CASE("Guards: a chat model takes and gives text, and tools where its template has them") {
    FoundModel model = found_model("/m/a-1b.gguf");
    Capabilities can = capabilities_of(model);
    CHECK(can.in == Words{"text"});
    CHECK(can.out == Words{"text"});
    CHECK_FALSE(can.tools);
    CHECK(can.context == 2048);
    model.file.supports_tools = true;
    CHECK(capabilities_of(model).tools);
}

TEST_CASE("Guards: a projector adds the modalities that it has, in the config's words") {
    FoundModel model = found_model("/m/a-1b.gguf");
    model.projector = FoundProjector{"/m/mmproj.gguf", true, false, 1};
    CHECK(capabilities_of(model).in == Words{"text", "image"});
    model.projector->has_audio = true;
    CHECK(capabilities_of(model).in == Words{"text", "audio", "image"});
}

TEST_CASE("Guards: embedding and reranking models are never said to chat") {
    FoundModel model = found_model("/m/a.gguf", 0.1, 1000, ModelRole::embedding);
    model.file.supports_tools = true;
    Capabilities can = capabilities_of(model);
    CHECK(can.out.empty());
    CHECK_FALSE(can.tools);
    CHECK_FALSE(can.reranker);
    model.file.role = ModelRole::reranker;
    can = capabilities_of(model);
    CHECK(can.reranker);
    CHECK(can.out.empty());
}

TEST_CASE("Guards: metadata tells what is known, leaves out what is not, and is printable") {
    FoundModel model = found_model("/m/a-1b-Q4_K_M.gguf");
    model.file.name = "x\n\x1b[2J";
    CHECK(entry(model, "family") == "llama");
    CHECK(entry(model, "quantization") == "q4_k_m");
    CHECK(entry(model, "n_params") == "1000000000");
    CHECK(entry(model, "title") == "x\\x0a\\x1b[2J");
    CHECK(entry(model, "n_expert").empty());
    CHECK(entry(model, "parts").empty());
    for (const char* dropped : {"architecture", "context_length", "capabilities"}) {
        CHECK(entry(model, dropped).empty());
    }
}
