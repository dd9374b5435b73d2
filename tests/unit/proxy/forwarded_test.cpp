// Whose word counts about who asks: that of trusted proxies, from the nearest one backwards.
#include "proxy/api/forwarded.hpp"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

using namespace corral;
using namespace corral::api;

namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

std::string client(const std::vector<std::string>& trusted, std::string_view peer,
                   const Pairs& sent) {
    http::Fields fields;
    for (const auto& [name, value] : sent) {
        fields.add(name, value);
    }
    return std::string(TrustedProxies(trusted).client(peer, fields));
}

}  // namespace

TEST_CASE("without a trusted proxy nobody speaks for another") {
    // Guards: a client cannot give itself an address in the log.
    const Pairs sent{{"X-Forwarded-For", "1.2.3.4"}, {"X-Real-IP", "1.2.3.4"}};
    CHECK(client({}, "10.0.0.9", sent) == "10.0.0.9");
    CHECK(client({"10.0.0.1"}, "10.0.0.9", sent) == "10.0.0.9");
    CHECK(client({}, "unix", sent) == "unix");
    CHECK(client({"10.0.0.9"}, "unix", sent) == "unix");
}

TEST_CASE("a trusted proxy's client is the last one that is no proxy") {
    // Guards: what a client puts in front of the list is never taken for its address.
    const std::vector<std::string> trusted{"10.0.0.0/8", "fd00::/8"};
    const auto from = [&](const Pairs& sent) { return client(trusted, "10.0.0.1", sent); };
    CHECK(from({{"X-Forwarded-For", "1.2.3.4"}}) == "1.2.3.4");
    CHECK(from({{"X-Forwarded-For", "6.6.6.6, 1.2.3.4"}}) == "1.2.3.4");
    CHECK(from({{"X-Forwarded-For", "6.6.6.6, 1.2.3.4, 10.0.0.2,fd00::5"}}) == "1.2.3.4");
    CHECK(from({{"X-Forwarded-For", "1.2.3.4"}, {"x-forwarded-for", "10.0.0.2"}}) == "1.2.3.4");
    CHECK(from({{"X-Forwarded-For", "10.0.0.3, 10.0.0.2"}}) == "10.0.0.3");
    CHECK(from({{"X-Forwarded-For", "1.2.3.4, rubbish"}}) == "10.0.0.1");
    CHECK(from({{"X-Forwarded-For", "rubbish, 10.0.0.2"}}) == "10.0.0.2");
    CHECK(from({{"X-Forwarded-For", ""}}) == "10.0.0.1");
    CHECK(from({{"X-Forwarded-For", "[2001:db8::1]:443"}}) == "2001:db8::1");
    CHECK(from({{"X-Forwarded-For", "1.2.3.4:5678"}}) == "1.2.3.4");
    CHECK(from({{"X-Real-IP", "1.2.3.4"}}) == "1.2.3.4");
    CHECK(from({{"X-Real-IP", "a\\nb"}}) == "10.0.0.1");
    CHECK(from({{"X-Real-IP", "9.9.9.9"}, {"X-Forwarded-For", "1.2.3.4"}}) == "1.2.3.4");
    CHECK(from({}) == "10.0.0.1");
    CHECK(client({"unix"}, "unix", {{"X-Forwarded-For", "1.2.3.4"}}) == "1.2.3.4");
    CHECK(client({"127.0.0.1"}, "::ffff:127.0.0.1", {{"X-Forwarded-For", "1.2.3.4"}}) == "1.2.3.4");
}
