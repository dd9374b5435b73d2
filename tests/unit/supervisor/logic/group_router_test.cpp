// llama-swap's group rules: who has to go for whom.
#include "supervisor/logic/group_router.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace corral;

namespace {

Config config_of(const std::vector<GroupConfig>& groups) {
    Config config;
    for (const char* id : {"a1", "a2", "b1", "b2", "x"}) {
        ModelConfig model;
        model.id = ModelId(id);
        config.models.push_back(model);
    }
    config.groups = groups;
    return config;
}

GroupConfig group(const char* id, bool swap, bool exclusive, bool persistent,
                  std::vector<ModelId> members) {
    return {id, swap, exclusive, persistent, std::move(members)};
}

bool evicts(const GroupRouter& router, const char* target, const char* other) {
    return router.evicts(router.seat(ModelId(target)), router.seat(ModelId(other)));
}

const std::vector<ModelId> as{ModelId("a1"), ModelId("a2")};
const std::vector<ModelId> bs{ModelId("b1"), ModelId("b2")};

}  // namespace

TEST_CASE("siblings of a swapping group evict each other, of another kind they do not") {
    const GroupRouter router(
        config_of({group("a", true, true, false, as), group("b", false, true, false, bs)}));
    CHECK(evicts(router, "a1", "a2"));
    CHECK(evicts(router, "a2", "a1"));
    CHECK_FALSE(evicts(router, "b1", "b2"));
    CHECK_FALSE(evicts(router, "a1", "a1"));
}

TEST_CASE("an exclusive group empties others unless they are persistent") {
    const GroupRouter router(
        config_of({group("a", true, true, false, as), group("b", true, false, true, bs)}));
    CHECK_FALSE(evicts(router, "a1", "b1"));  // persistent
    CHECK_FALSE(evicts(router, "b1", "a1"));  // not exclusive
    CHECK(evicts(router, "b1", "b2"));        // persistence does not protect from siblings
    CHECK(evicts(router, "x", "a1"));         // in no group: as llama-swap's "(default)"
    CHECK_FALSE(evicts(router, "x", "b1"));
}

TEST_CASE("a non-exclusive target never evicts an exclusive group, but is evicted by it") {
    const GroupRouter router(
        config_of({group("a", true, true, false, as), group("b", true, false, false, bs)}));
    CHECK(evicts(router, "a1", "b1"));
    CHECK_FALSE(evicts(router, "b1", "a1"));
    const std::vector<Runner> running{
        {router.seat(ModelId("b1"))}, {router.seat(ModelId("a1"))}, {router.seat(ModelId("x"))}};
    CHECK(router.evictions(router.seat(ModelId("a2")), running).positions ==
          std::vector<std::size_t>{0, 1, 2});
    CHECK(router.evictions(router.seat(ModelId("b2")), running).positions ==
          std::vector<std::size_t>{0});
}

TEST_CASE("a model that left the config keeps the rules it started under") {
    const GroupRouter old(
        config_of({group("a", true, true, false, as), group("p", true, true, true, bs)}));
    Config next = config_of({group("a", true, true, false, {ModelId("a1")})});
    GroupRouter router(next);
    const Seat gone = router.adopt(old, old.seat(ModelId("b1")), ModelId("b1"));
    CHECK_FALSE(router.evicts(router.seat(ModelId("a1")), gone));
    const Seat sibling = router.adopt(old, old.seat(ModelId("a2")), ModelId("a2"));
    CHECK(router.evicts(router.seat(ModelId("a1")), sibling));
}
