// Which requests carry a right API key (contract §1.0: one candidate only, in this order).
#include "proxy/api/auth.hpp"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

using corral::http::Fields;

namespace {

bool allowed(const std::vector<std::pair<std::string, std::string>>& fields,
             const std::vector<std::string>& keys = {"sk-one", "sk-two"}) {
    Fields out;
    for (const auto& [name, value] : fields) {
        out.add(name, value);
    }
    return corral::api::is_authorized(out, keys);
}

}  // namespace

TEST_CASE("without keys everyone may") {
    CHECK(allowed({}, {}));
}

TEST_CASE("each way to carry a key works and every key counts") {
    CHECK(allowed({{"Authorization", "Bearer sk-one"}}));
    CHECK(allowed({{"authorization", "bEaReR sk-two"}}));
    CHECK(allowed({{"X-Api-Key", "sk-two"}}));
    CHECK(allowed({{"Authorization", "Basic dXNlcjpzay1vbmU="}}));  // user:sk-one
}

TEST_CASE("what is not exactly a key is refused") {
    const std::vector<std::vector<std::pair<std::string, std::string>>> rows{
        {},
        {{"Authorization", "Bearer"}},
        {{"Authorization", "Bearer "}},
        {{"Authorization", "Bearer sk-on"}},
        {{"Authorization", "Bearer sk-one "}},
        {{"Authorization", "Bearer sk-onesk-one"}},
        {{"Authorization", std::string("Bearer sk-one\0", 14)}},
        {{"Authorization", "sk-one"}},
        {{"Authorization", "Basic !!!"}},
        {{"Authorization", "Basic c2stb25l"}},  // sk-one without a colon
        {{"Authorization", "Bearer sk-one"}, {"Authorization", "Bearer sk-one"}},
        {{"X-Api-Key", ""}},
        {{"X-Api-Key", "sk-one"}, {"X-Api-Key", "sk-one"}},
        {{"Cookie", "sk-one"}},
    };
    for (const auto& row : rows) {
        CHECK_FALSE(allowed(row));
    }
}

TEST_CASE("a bad Bearer is not rescued by a good x-api-key, a malformed Basic is") {
    CHECK_FALSE(allowed({{"Authorization", "Bearer wrong"}, {"X-Api-Key", "sk-one"}}));
    CHECK(allowed({{"Authorization", "Basic !!!"}, {"X-Api-Key", "sk-one"}}));
}

TEST_CASE("an empty key in the config never matches") {
    CHECK_FALSE(allowed({{"Authorization", "Bearer "}}, {""}));
    CHECK_FALSE(allowed({{"X-Api-Key", ""}}, {""}));
}
