// The state file as JSON; see remembered.hpp.

#include "discovery/remembered.hpp"

#include <nlohmann/json.hpp>

#include <sys/stat.h>

namespace corral {

namespace {

using Json = nlohmann::json;

constexpr int version = 1;

Error damaged(const std::string& why) {
    return {Errc::corrupt, Blame::internal, "what scan remembers cannot be read: " + why};
}

RememberedModel model_of(const Json& json) {
    RememberedModel model;
    model.id = json.at("id").get<std::string>();
    model.aliases = json.at("aliases").get<std::vector<std::string>>();
    model.identity.device = json.at("device").get<std::uint64_t>();
    model.identity.inode = json.at("inode").get<std::uint64_t>();
    model.identity.bytes = json.at("bytes").get<std::uint64_t>();
    model.deleted = json.at("deleted").get<bool>();
    return model;
}

Remembered config_of(const Json& json) {
    Remembered remembered;
    for (const auto& [path, model] : json.at("models").items()) {
        remembered.models.emplace(path, model_of(model));
    }
    remembered.group_written = json.at("group_written").get<bool>();
    remembered.group_deleted = json.at("group_deleted").get<bool>();
    return remembered;
}

}  // namespace

FileFingerprint identify(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
        return {};
    }
    return {status.st_dev, status.st_ino, static_cast<std::uint64_t>(status.st_size)};
}

Result<RememberedConfigs> parse_remembered(std::string_view json) {
    RememberedConfigs configs;
    if (json.empty()) {
        return configs;
    }
    try {
        const Json document = Json::parse(json);
        if (document.at("version").get<int>() != version) {
            return damaged("another version of Corral wrote it");
        }
        for (const auto& [path, config] : document.at("configs").items()) {
            configs.emplace(path, config_of(config));
        }
    } catch (const Json::exception& error) {
        return damaged(error.what());
    }
    return configs;
}

std::string remembered_text(const RememberedConfigs& configs) {
    Json document{{"version", version}, {"configs", Json::object()}};
    for (const auto& [path, config] : configs) {
        Json& into = document["configs"][path];
        into["models"] = Json::object();
        for (const auto& [file, model] : config.models) {
            into["models"][file] = {{"id", model.id},
                                    {"aliases", model.aliases},
                                    {"device", model.identity.device},
                                    {"inode", model.identity.inode},
                                    {"bytes", model.identity.bytes},
                                    {"deleted", model.deleted}};
        }
        into["group_written"] = config.group_written;
        into["group_deleted"] = config.group_deleted;
    }
    return document.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace corral
