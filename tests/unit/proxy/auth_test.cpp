// Which requests carry a right API key (contract §1.0: one candidate only, in this order).
#include "proxy/api/auth.hpp"

#include "proxy/http/head_rules.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
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
    return corral::api::is_authorized(out, corral::api::KeyRing(keys));
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
        {{"Authorization", "Basic c2stb25l"}},              // sk-one without a colon
        {{"Authorization", "Basic dXNlcjpzay1vbmU"}},       // user:sk-one without its padding
        {{"Authorization", "Basic dXNlcjpzay1vbmU=="}},     // too much of it
        {{"Authorization", "Basic dXNlcjpzay1vbmU=dXNl"}},  // and in the middle
        {{"Authorization", "Basic dXNlcjpzay1vbmUA"}},      // user:sk-one and a NUL
        {{"Authorization", "Basic dXNlcjpzay1vbmUg"}},      // and a blank
        {{"Authorization", "Basic dXNl cjpzay1vbmU="}},
        {{"Authorization", "Basic"}},
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

TEST_CASE("every key is compared, whichever is right") {
    // Guards: the time of a comparison says neither how much is right nor which key it was.
    const std::vector<std::string> keys{"sk-one", "sk-two", "sk-three", ""};
    const corral::api::KeyRing ring(keys);
    for (const auto* given : {"sk-one", "sk-two", "sk-three", "", "s", "sk-onex", "wrong"}) {
        CAPTURE(given);
        const auto result = ring.compare(given);
        CHECK(result.compared == 3);
        CHECK(result.found == (std::string_view(given).size() > 5 && given[0] == 's' &&
                               std::string_view(given) != "sk-onex"));
    }
    CHECK(corral::api::KeyRing({}).compare("x").compared == 0);
    CHECK_FALSE(ring.compare(std::string(1U << 20U, 'x')).found);
}

TEST_CASE("a blank behind a key makes it another one") {
    // Guards: safety case 143; the head's parser takes blanks off values, so the key alone is seen.
    for (const std::string field : {"Authorization: Bearer sk-one", "X-Api-Key: sk-one",
                                    "Authorization: Basic dXNlcjpzay1vbmU="}) {
        const corral::Limits limits;
        const auto head = [&](const std::string& line) {
            return corral::http::parse_request_head(
                       "GET / HTTP/1.1\r\nHost: h\r\n" + line + "\r\n\r\n", limits)
                .value();
        };
        const corral::api::KeyRing ring(std::vector<std::string>{"sk-one"});
        CHECK(corral::api::is_authorized(head(field).fields, ring));
        CHECK_FALSE(corral::api::is_authorized(head(field + " ").fields, ring));
        CHECK_FALSE(corral::api::is_authorized(head(field + "\t").fields, ring));
    }
}
