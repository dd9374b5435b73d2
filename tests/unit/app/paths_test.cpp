// Where a config is looked for when none was named.
#include "app/paths.hpp"

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

namespace {

std::vector<std::string> candidates(const std::map<std::string, std::string>& environment) {
    const auto found =
        corral::config_candidates([&](const std::string& name) -> std::optional<std::string> {
            const auto at = environment.find(name);
            return at != environment.end() ? std::optional(at->second) : std::nullopt;
        });
    return {found.begin(), found.end()};
}

}  // namespace

TEST_CASE("a plain user's config comes before the machine's, the generated one last") {
    CHECK(candidates({{"HOME", "/home/ann"}}) ==
          std::vector<std::string>{"/home/ann/.config/corral/config.yaml",
                                   "/etc/corral/config.yaml",
                                   "/home/ann/.local/state/corral/config.yaml"});
}

TEST_CASE("$CORRAL_CONFIG wins over every place") {
    CHECK(candidates({{"HOME", "/h"}, {"CORRAL_CONFIG", "/x/y.yaml"}}).front() == "/x/y.yaml");
}

TEST_CASE("the XDG variables move the places and relative ones are ignored") {
    const auto found =
        candidates({{"HOME", "/h"}, {"XDG_CONFIG_HOME", "/conf"}, {"XDG_STATE_HOME", "relative"}});
    CHECK(found.front() == "/conf/corral/config.yaml");
    CHECK(found.back() == "/h/.local/state/corral/config.yaml");
}

TEST_CASE(
    "as a service the person's file is in /etc and the generated one in the state directory") {
    CHECK(candidates({{"STATE_DIRECTORY", "/var/lib/corral"}}) ==
          std::vector<std::string>{"/etc/corral/config.yaml", "/var/lib/corral/config.yaml"});
}
