// Which projector a model gets: the one that fits, whatever it is called; and why it gets none.

#include "discovery/projector.hpp"

#include "discovery/model_command.hpp"
#include "tests/unit/discovery/fixtures.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

using namespace corral;
using corral::testing::found_model;
using corral::testing::has;
using corral::testing::model_bytes;
using corral::testing::projector_bytes;
using corral::testing::TempFolder;

namespace {

FoundModel model_of(const std::string& path, std::uint64_t length,
                    ModelRole role = ModelRole::chat) {
    FoundModel model = found_model(path, 1, 1U << 30U, role);
    model.file.embedding_length = length;
    return model;
}

ProjectorFile projector_of(const std::string& path, std::uint64_t length) {
    ProjectorFile projector{path, {}};
    projector.file.role = ModelRole::projector;
    projector.file.projected_length = length;
    projector.file.has_vision = true;
    return projector;
}

std::string given(const FoundModel& model) {
    return model.projector ? model.projector->path : std::string{};
}

/// What one model gets of these.
std::string given(FoundModel model, const std::vector<ProjectorFile>& projectors) {
    std::vector<FoundModel> models{std::move(model)};
    (void)attach_projectors(models, projectors);
    return given(models.front());
}

}  // namespace

TEST_CASE("Guards: a projector beside a model is attached when its vectors fit, by any name") {
    const FoundModel model = model_of("/m/some-model-4b.gguf", 2560);
    CHECK(given(model, {projector_of("/m/eyes.gguf", 2560)}) == "/m/eyes.gguf");
    CHECK(given(model, {projector_of("/m/mmproj-some-model-4b.gguf", 4096)}).empty());
    CHECK(given(model, {projector_of("/m/mmproj-some-model-4b.gguf", 4096),
                        projector_of("/m/mmproj-other.gguf", 2560)}) == "/m/mmproj-other.gguf");
    CHECK(given(model, {projector_of("/m/mmproj.gguf", 0)}).empty());
}

TEST_CASE("Guards: why no projector was taken is told, with both lengths") {
    std::vector<FoundModel> models{model_of("/m/a-4b.gguf", 2560), model_of("/n/b-4b.gguf", 64)};
    CHECK(attach_projectors(models, {projector_of("/m/mmproj-a-4b.gguf", 4096),
                                     projector_of("/n/mmproj.gguf", 0)}) ==
          std::vector<bool>{false, false});
    CHECK(has(models[0].projector_note, "4096"));
    CHECK(has(models[0].projector_note, "2560"));
    CHECK(has(models[1].projector_note, "does not say"));
    // A stranger's projector in the same directory is nobody's concern.
    models[0].projector_note.clear();
    (void)attach_projectors(models, {projector_of("/m/mmproj-zebra-9b.gguf", 4096)});
    CHECK(models[0].projector_note.empty());
}

TEST_CASE("Guards: where several models would fit, the name decides whose a projector is") {
    std::vector<FoundModel> models{model_of("/m/qwen2.5-7b-instruct-q4_k_m.gguf", 3584),
                                   model_of("/m/qwen2.5-vl-7b-instruct-q4_k_m.gguf", 3584),
                                   model_of("/m/qwen2.5-vl-7b-instruct-q8_0.gguf", 3584),
                                   model_of("/m/zebra.gguf", 3584)};
    CHECK(attach_projectors(models, {projector_of("/m/mmproj-qwen2.5-vl-7b-instruct-f16.gguf",
                                                  3584)}) == std::vector<bool>{true});
    CHECK(given(models[0]).empty());
    CHECK_FALSE(given(models[1]).empty());
    CHECK_FALSE(given(models[2]).empty());
    CHECK(given(models[3]).empty());
}

TEST_CASE("Guards: the same directory goes before the snapshot, that before other places") {
    const std::string snapshot = "/c/models--o--gemma-3-4b-it-GGUF/snapshots/abc/";
    const FoundModel model = model_of(snapshot + "BF16/gemma-3-4b-it-bf16.gguf", 2560);
    const ProjectorFile beside = projector_of(snapshot + "BF16/x.gguf", 2560);
    const ProjectorFile above = projector_of(snapshot + "mmproj-F16.gguf", 2560);
    const ProjectorFile far = projector_of("/z/mmproj-gemma-3-4b-it-f16.gguf", 2560);
    CHECK(given(model, {far, above, beside}) == beside.path);
    CHECK(given(model, {far, above}) == above.path);
    CHECK(given(model, {far}) == far.path);
    // Far away nothing but the whole name counts.
    CHECK(given(model, {projector_of("/z/mmproj-f16.gguf", 2560)}).empty());
    CHECK(given(model, {projector_of("/z/mmproj-gemma-3-12b-f16.gguf", 2560)}).empty());
    CHECK(given(model, {projector_of("/z/mmproj-gemma-f16.gguf", 2560)}).empty());
}

TEST_CASE("Guards: of several that fit the choice does not depend on their order") {
    const FoundModel model = model_of("/m/a-4b.gguf", 64);
    std::vector<ProjectorFile> projectors{
        projector_of("/m/mmproj-a-4b-F32.gguf", 64), projector_of("/m/mmproj-a-4b-BF16.gguf", 64),
        projector_of("/m/mmproj-a-4b-F16.gguf", 64), projector_of("/m/mmproj-a-4b-Q8_0.gguf", 64)};
    for (int round = 0; round < 4; ++round) {
        std::rotate(projectors.begin(), projectors.begin() + 1, projectors.end());
        CHECK(given(model, projectors) == "/m/mmproj-a-4b-F16.gguf");
    }
    std::vector<FoundModel> models{model};
    (void)attach_projectors(models, projectors);
    CHECK(has(models.front().projector_note, "4 projectors fit"));
}

TEST_CASE("Guards: models that give vectors or scores get no eyes") {
    for (const ModelRole role : {ModelRole::embedding, ModelRole::reranker}) {
        CHECK(given(model_of("/m/a.gguf", 64, role), {projector_of("/m/mmproj.gguf", 64)}).empty());
    }
    CHECK_FALSE(
        given(model_of("/m/a.gguf", 64, ModelRole::base), {projector_of("/m/p.gguf", 64)}).empty());
}

TEST_CASE("Guards: a projector's width is the row count of its last projection") {
    const auto length = [](const std::vector<GgufTensor>& tensors, std::string_view type = "mlp") {
        return projected_length(tensors, type);
    };
    const GgufTensor first{"mm.0.weight", {1024, 4096}};
    const GgufTensor last{"mm.2.weight", {4096, 2560}};
    CHECK(length({first, last}) == 2560);
    CHECK(length({last, first}) == 2560);
    CHECK(length({{"mm.2.weight", {1, 2}}, {"mm.10.weight", {2, 3}}}) == 3);
    CHECK(length({last, {"mm.2.bias", {2560}}, {"mm.post_norm.weight", {9, 9}}}) == 2560);
    CHECK(length({{"mm.4.weight", {3, 3, 8, 8}}, first}) == 4096);
    CHECK(length({}) == 0);
    const GgufTensor turned{"mm.input_projection.weight", {2560, 1152}};
    CHECK(length({turned}, "gemma3") == 2560);
    CHECK(length({turned}, "gemma4v") == 1152);
}

TEST_CASE("Guards: a scan attaches projectors by their content and lists the others") {
    const TempFolder folder;
    folder.write("vl/model-x-4b.gguf", model_bytes());
    folder.write("vl/mmproj-F16.gguf", projector_bytes(64, true, false));
    folder.write("misfit/model-y-4b.gguf", model_bytes());
    folder.write("misfit/mmproj-F16.gguf", projector_bytes(128, false, true));
    const Catalogue catalogue = read_catalogue({folder.path().string()});
    REQUIRE(catalogue.models.size() == 2);
    const FoundModel& fitting = catalogue.models[1];
    REQUIRE(fitting.projector.has_value());
    CHECK(fitting.projector->path == (folder.path() / "vl/mmproj-F16.gguf").string());
    CHECK(fitting.projector->has_vision);
    CHECK_FALSE(fitting.projector->has_audio);
    CHECK_FALSE(catalogue.models[0].projector.has_value());
    CHECK(has(catalogue.models[0].projector_note, "128"));
    REQUIRE(catalogue.left_out.size() == 1);
    CHECK(has(catalogue.left_out[0].path, "misfit/mmproj-F16.gguf"));
    CHECK(has(catalogue.left_out[0].reason, "128"));
    const std::vector<std::string> argv = make_command(fitting, "llama-server", {}).argv;
    const auto flag = std::find(argv.begin(), argv.end(), "--mmproj");
    REQUIRE(flag != argv.end());
    CHECK(*std::next(flag) == fitting.projector->path);
    CHECK(argv[1] == "-m");
    CHECK(argv[2] == fitting.path);
}
