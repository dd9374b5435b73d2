// The first thing that a person reads must be something to paste that works.
#include "app/welcome.hpp"

#include "core/command_line.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <string>

namespace {

corral::ModelConfig model(const std::string& id, std::vector<std::string> argv) {
    corral::ModelConfig out;
    out.id = corral::ModelId(id);
    out.argv = std::move(argv);
    return out;
}

}  // namespace

TEST_CASE("the curl line survives a shell and names a model that can chat") {
    corral::Config config;
    config.models = {model("a-embed", {"llama-server", "--embeddings"}),
                     model("it's \"odd\"", {"llama-server"})};
    const auto text = corral::welcome(config, "http://[::]:8091");
    const auto at = text.find("curl ");
    REQUIRE(at != std::string::npos);
    const auto words = corral::split_command_line(text.substr(at));
    REQUIRE(words.has_value());
    CHECK(words->at(1) == "http://127.0.0.1:8091/v1/chat/completions");
    CHECK(nlohmann::json::parse(words->back()).at("model") == "it's \"odd\"");
}

TEST_CASE("without a model that can chat it says what to do") {
    corral::Config config;
    config.models = {model("rank", {"llama-server", "--reranking"})};
    CHECK(corral::welcome(config, "http://127.0.0.1:1").find("corral scan") != std::string::npos);
}

TEST_CASE("the curl line reaches a Unix socket and a port with TLS as well") {
    // Guards: what is pasted goes where the server listens.
    corral::Config config;
    config.models = {model("a", {"llama-server"})};
    const auto words_for = [&](std::string_view address) {
        const auto text = corral::welcome(config, address);
        CHECK(text.find(std::string(" on ") + std::string(address)) != std::string::npos);
        return corral::split_command_line(text.substr(text.find("curl "))).value();
    };
    const auto by_socket = words_for("unix:/run/my corral.sock");
    CHECK(by_socket.at(1) == "--unix-socket");
    CHECK(by_socket.at(2) == "/run/my corral.sock");
    CHECK(by_socket.at(3) == "http://localhost/v1/chat/completions");
    CHECK(words_for("https://[::1]:8443").at(1) == "https://[::1]:8443/v1/chat/completions");
}
