// A request's id: the client's when it can do no harm, else one that nobody else has.
#include "proxy/api/request_id.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>

using namespace corral;
using namespace corral::api;

namespace {

bool sane(std::string_view value) {
    http::Fields fields;
    fields.add("X-Request-Id", value);
    const auto id = sane_request_id(fields);
    CHECK((!id || *id == value));
    return id.has_value();
}

}  // namespace

TEST_CASE("a client's id is taken when it is one word of sane signs") {
    // Guards: an id goes into the log, to the model and back without any escaping.
    for (const auto* id : {"a", "550e8400-e29b-41d4-a716-446655440000", "req_01HZX.y~z",
                           "Root=1-67891233-abcdef", "YWJj+/==", "tenant:7/x@y"}) {
        CAPTURE(id);
        CHECK(sane(id));
    }
    CHECK(sane(std::string(128, 'x')));
    CHECK_FALSE(sane(std::string(129, 'x')));
    for (const auto* id : {"", "a b", "a\tb", "a\"b", "a,b", "a;b", "<script>", "a\\b", "\xc3\xa9",
                           "a(b)", "{a}", "a\x7f"}) {
        CAPTURE(id);
        CHECK_FALSE(sane(id));
    }
}

TEST_CASE("two ids are none") {
    // Guards: proxy and model cannot be made to read different ones.
    http::Fields fields;
    CHECK_FALSE(sane_request_id(fields));
    fields.add("X-Request-Id", "a");
    fields.add("x-request-id", "a");
    CHECK_FALSE(sane_request_id(fields));
}

TEST_CASE("made ids differ, and so do those of two programs") {
    // Guards: an id finds one request.
    RequestIds ids(7);
    std::set<std::string> seen;
    for (int i = 0; i < 10'000; ++i) {
        const auto id = ids.make();
        seen.emplace(id.begin(), id.end());
    }
    CHECK(seen.size() == 10'000);
    CHECK(seen.begin()->find_first_not_of("0123456789abcdef") == std::string::npos);
    CHECK(RequestIds().make() != RequestIds().make());
}
