// Ids and aliases: unique, the same whatever the order, and never taken away from a file that has
// them. Pure.

#include "discovery/assign.hpp"

#include "tests/unit/discovery/fixtures.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

using namespace corral;
using corral::testing::found_model;

namespace {

std::vector<NamedModel> assign(const std::vector<FoundModel>& models,
                               const GivenByPath& given = {}) {
    std::vector<const FoundModel*> pointers;
    for (const FoundModel& model : models) {
        pointers.push_back(&model);
    }
    return assign_names(pointers, given);
}

std::string id_of(const std::vector<NamedModel>& named, std::string_view path) {
    for (const NamedModel& model : named) {
        if (model.found->path == path) {
            return model.id;
        }
    }
    return {};
}

/// Whose alias it is; empty when nobody's.
std::string owner(const std::vector<NamedModel>& named, std::string_view alias) {
    std::string result;
    for (const NamedModel& model : named) {
        for (const NamedAlias& item : model.aliases) {
            if (item.name == alias) {
                CHECK(result.empty());
                result = model.id;
            }
        }
    }
    return result;
}

/// What a config with these names would give back on the next scan.
GivenByPath remembered(const std::vector<NamedModel>& named) {
    GivenByPath given;
    for (const NamedModel& model : named) {
        GivenNames names{model.id, {}};
        for (const NamedAlias& alias : model.aliases) {
            names.aliases.push_back(alias.name);
        }
        given.emplace(model.found->path, names);
    }
    return given;
}

bool same(const std::vector<NamedModel>& a, const std::vector<NamedModel>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
        return x.id == y.id && x.found->path == y.found->path && x.notes == y.notes &&
               std::equal(x.aliases.begin(), x.aliases.end(), y.aliases.begin(), y.aliases.end(),
                          [](const NamedAlias& p, const NamedAlias& q) {
                              return p.name == q.name && p.why == q.why;
                          });
    });
}

void check_unique(const std::vector<NamedModel>& named) {
    std::set<std::string> names;
    for (const NamedModel& model : named) {
        CHECK(names.insert(model.id).second);
        for (const NamedAlias& alias : model.aliases) {
            CHECK(names.insert(alias.name).second);
        }
    }
}

}  // namespace

TEST_CASE("the documented examples get their names and aliases") {
    const std::vector<FoundModel> models{
        found_model("/m/llama-3.2-1b-instruct-q4_k_m.gguf", 1.24),
        found_model("/m/tinyllama-1.1b-chat-v1.0.Q4_K_S.gguf", 1.1),
        found_model("/m/gemma-3-4b-it-Q4_K_M.gguf", 3.9)};
    const std::vector<NamedModel> named = assign(models);
    CHECK(id_of(named, models[0].path) == "llama3.2:1b-instruct");
    CHECK(id_of(named, models[1].path) == "tinyllama1.1:b-chat");
    CHECK(owner(named, "llama-3.2-1b-instruct-q4_k_m") == "llama3.2:1b-instruct");
    CHECK(owner(named, "tinyllama:1.1b-chat") == "tinyllama1.1:b-chat");
    CHECK(owner(named, "gpt-3.5-turbo") == "llama3.2:1b-instruct");
    CHECK(owner(named, "gpt-4") == "gemma3:4b-it");  // 4B by its name, though it counts 3.9
    CHECK(owner(named, "text-davinci-003") == "gemma3:4b-it");
}

TEST_CASE("OpenAI aliases go to text models of the right size only") {
    const std::vector<FoundModel> models{
        found_model("/m/nomic-embed-0.1b.gguf", 0.1, 1000, ModelRole::embedding),
        found_model("/m/rank-70b-instruct.gguf", 70, 1000, ModelRole::reranker),
        found_model("/m/three-3b.gguf", 3, 1000, ModelRole::base)};
    const std::vector<NamedModel> named = assign(models);
    for (const char* alias : {"gpt-3.5-turbo", "gpt-4", "text-davinci-003"}) {
        CHECK(owner(named, alias).empty());
    }
}

TEST_CASE("a tie for an OpenAI alias is decided by name") {
    const std::vector<FoundModel> models{found_model("/m/b-7b-chat.gguf"),
                                         found_model("/m/a-7b-chat.gguf")};
    CHECK(owner(assign(models), "gpt-4") == "a7:b-chat");
}

TEST_CASE("of two quantizations the plain name goes to Q4_K_M, else to the largest") {
    const std::vector<FoundModel> with{
        found_model("/m/llama-3.2-1b-instruct-q8_0.gguf", 1, 3000),
        found_model("/m/llama-3.2-1b-instruct-Q4_K_M.gguf", 1, 2000)};
    std::vector<NamedModel> named = assign(with);
    CHECK(id_of(named, with[1].path) == "llama3.2:1b-instruct");
    CHECK(id_of(named, with[0].path) == "llama3.2:1b-instruct-q8_0");
    CHECK(owner(named, "llama-3.2-1b-instruct-q8_0") == "llama3.2:1b-instruct-q8_0");
    const std::vector<FoundModel> without{
        found_model("/m/llama-3.2-1b-instruct-q5_0.gguf", 1, 2500),
        found_model("/m/llama-3.2-1b-instruct-q8_0.gguf", 1, 3000)};
    named = assign(without);
    CHECK(id_of(named, without[1].path) == "llama3.2:1b-instruct");
    CHECK(id_of(named, without[0].path) == "llama3.2:1b-instruct-q5_0");
}

TEST_CASE("what differs in version or folder only is told apart by that") {
    const std::vector<FoundModel> models{
        found_model("/m/mistral-7b-instruct-v0.9.Q4_K_M.gguf", 7, 1000),
        found_model("/m/mistral-7b-instruct-v0.10.Q4_K_M.gguf", 7, 1000),
        found_model("/m/My Copy/mistral-7b-instruct-v0.10.Q4_K_M.gguf", 7, 1000),
        found_model("/n/My Copy/mistral-7b-instruct-v0.10.Q4_K_M.gguf", 7, 1000)};
    const std::vector<NamedModel> named = assign(models);
    CHECK(id_of(named, models[1].path) == "mistral7:b-instruct-m");
    CHECK(id_of(named, models[0].path) == "mistral7:b-instruct-v0.9");
    CHECK(id_of(named, models[2].path) == "mistral7:b-instruct");
    CHECK(id_of(named, models[3].path) == "mistral7:b-instruct-my-copy");
    check_unique(named);
    CHECK_FALSE(named.back().notes.empty());
}

TEST_CASE("a name once given stays with its file when better ones come") {
    std::vector<FoundModel> models{found_model("/m/llama-3.2-1b-instruct-q8_0.gguf", 1, 3000)};
    const GivenByPath given = remembered(assign(models));
    models.push_back(found_model("/m/llama-3.2-1b-instruct-q4_k_m.gguf", 1, 2000));
    models.push_back(found_model("/m/aa-0.5b-chat.gguf", 0.5, 2000));
    const std::vector<NamedModel> named = assign(models, given);
    CHECK(id_of(named, models[0].path) == "llama3.2:1b-instruct");
    CHECK(id_of(named, models[1].path) == "llama3.2:1b-instruct-q4_k_m");
    CHECK(owner(named, "gpt-3.5-turbo") == "llama3.2:1b-instruct");
    CHECK(owner(named, "text-davinci-003") == "llama3.2:1b-instruct");
    // Once its file is gone the alias is free again.
    models.erase(models.begin());
    CHECK(owner(assign(models, given), "gpt-3.5-turbo") == "aa0.5:b-chat");
}

TEST_CASE("names that a person chose are kept, and nobody else gets them") {
    const std::vector<FoundModel> models{found_model("/m/a-1b-chat.gguf"),
                                         found_model("/m/b-1b-chat.gguf"),
                                         found_model("/m/My Model-1b.gguf")};
    const GivenByPath given{{"/m/a-1b-chat.gguf", {"b1:b-chat", {"gpt-4", "work horse"}}},
                            {"/gone.gguf", {"b1:b-chat-b", {"text-davinci-003"}}}};
    const std::vector<NamedModel> named = assign(models, given);
    CHECK(id_of(named, models[0].path) == "b1:b-chat");
    CHECK(id_of(named, models[1].path) == "b1:b-chat-m");
    CHECK(owner(named, "gpt-4") == "b1:b-chat");
    CHECK(owner(named, "work horse") == "b1:b-chat");
    CHECK(owner(named, "text-davinci-003") == "b1:b-chat");
    check_unique(named);
}

TEST_CASE("an id that cannot be written again is replaced") {
    const std::vector<FoundModel> models{found_model("/m/a-1b-chat.gguf")};
    const GivenByPath given{{"/m/a-1b-chat.gguf", {"x${PORT}", {"bad\nalias"}}}};
    const std::vector<NamedModel> named = assign(models, given);
    CHECK(named.front().id == "a1:b-chat");
    CHECK(owner(named, "bad\nalias").empty());
}

TEST_CASE("for any set of files: names are unique, independent of order, and stay") {
    std::mt19937 random(42);
    const std::vector<std::string> families{"llama-3.2", "qwen", "tiny_x", "a", "gpt-4"};
    const std::vector<std::string> sizes{"-1b", "-7b", "-0.5b", ""};
    const std::vector<std::string> kinds{"-instruct", "-chat", "", "-v1", "-v2"};
    const std::vector<std::string> tags{"-q4_k_m", ".Q8_0", "-f16", ""};
    const auto pick = [&](const auto& list) { return list[random() % list.size()]; };
    for (int round = 0; round < 300; ++round) {
        std::map<std::string, FoundModel> files;
        for (int i = 0; i < 12; ++i) {
            const std::string path = "/d" + std::to_string(random() % 3) + "/" + pick(families) +
                                     pick(sizes) + pick(kinds) + pick(tags) + ".gguf";
            files.emplace(path, found_model(path, 1.0 + static_cast<double>(random() % 9),
                                            1000 + random() % 5));
        }
        std::vector<FoundModel> models;
        for (const auto& [path, model] : files) {
            models.push_back(model);
        }
        const std::vector<NamedModel> first = assign(models);
        check_unique(first);
        CHECK(same(assign(models, remembered(first)), first));
        std::vector<FoundModel> shuffled = models;
        std::shuffle(shuffled.begin(), shuffled.end(), random);
        CHECK(same(assign(shuffled), first));
        // Half of the files vanish, then come back: those that stayed keep their names.
        std::vector<FoundModel> fewer(models.begin(),
                                      models.begin() + static_cast<long>(models.size() / 2));
        const std::vector<NamedModel> second = assign(fewer, remembered(first));
        const std::vector<NamedModel> third = assign(models, remembered(second));
        check_unique(third);
        for (const FoundModel& model : fewer) {
            CHECK(id_of(second, model.path) == id_of(first, model.path));
            CHECK(id_of(third, model.path) == id_of(first, model.path));
        }
    }
}
