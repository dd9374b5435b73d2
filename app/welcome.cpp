#include "app/welcome.hpp"

#include "core/command_line.hpp"
#include "core/quantity.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace corral {
namespace {

/// A model that can chat: not one that was started for embeddings or reranking.
bool can_chat(const ModelConfig& model) {
    return !model.argv.empty() && !model.unlisted &&
           std::none_of(model.argv.begin(), model.argv.end(), [](const std::string& word) {
               return word == "--embedding" || word == "--embeddings" || word == "--reranking" ||
                      word == "--rerank";
           });
}

std::string reachable(std::string_view address) {
    const auto host_at = address.find("://") + 3;
    const auto colon = address.rfind(':');
    const auto host = address.substr(host_at, colon - host_at);
    const bool everywhere = host == "[::]" || host == "0.0.0.0";
    return everywhere ? std::string(address.substr(0, host_at))
                            .append("127.0.0.1")
                            .append(address.substr(colon))
                      : std::string(address);
}

/// How curl reaches the address, and the URL before the path.
struct Way {
    std::string command = "curl ";
    std::string base;
};

Way way_to(std::string_view address) {
    constexpr std::string_view unix_prefix = "unix:";
    Way out;
    if (address.starts_with(unix_prefix)) {
        const std::string path(address.substr(unix_prefix.size()));
        out.command += "--unix-socket " + quote_word(path) + " ";
        out.base = "http://localhost";
    } else {
        out.base = reachable(address);
    }
    return out;
}

}  // namespace

std::string welcome(const Config& config, std::string_view address) {
    const Way way = way_to(address);
    const std::string where =
        address.starts_with("unix:") ? std::string(address) : reachable(address);
    const auto model = std::find_if(config.models.begin(), config.models.end(), can_chat);
    if (model == config.models.end()) {
        return "Corral listens on " + where +
               " but knows no model that can chat yet.\n"
               "Put .gguf files into ~/.local/share/corral/models, or name a directory: corral "
               "scan DIR --output FILE\n";
    }
    const nlohmann::json body{{"model", model->id.str()},
                              {"messages", {{{"role", "user"}, {"content", "Hello!"}}}},
                              {"max_tokens", 32}};
    const std::string key = config.api_keys.empty() ? "" : " -H \"Authorization: Bearer $KEY\"";
    return "Corral serves " + counted(config.models.size(), "model") + " on " + where +
           ". Try it:\n\n" + way.command + way.base + "/v1/chat/completions" + key +
           " -H 'Content-Type: application/json' -d " +
           quote_word(body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)) + "\n\n";
}

}  // namespace corral
