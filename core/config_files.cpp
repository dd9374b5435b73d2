#include "core/config_files.hpp"

#include "core/file.hpp"

#include <algorithm>
#include <filesystem>
#include <utility>

namespace corral {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t files_max = 1000;
constexpr std::size_t file_bytes_max = 16U << 20U;
constexpr std::size_t all_bytes_max = 64U << 20U;

Error failed(const std::string& directory, const std::string& what) {
    return {Errc::io, Blame::internal, "-config-dir " + directory + ": " + what};
}

/// The names of the directory's config files, sorted.
Result<std::vector<std::string>> list(const std::string& directory) {
    std::error_code ec;
    std::vector<std::string> names;
    fs::directory_iterator entry(directory, ec);
    for (; !ec && entry != fs::directory_iterator(); entry.increment(ec)) {
        std::string name = entry->path().filename().string();
        std::error_code ignored;
        if ((!name.ends_with(".yml") && !name.ends_with(".yaml")) ||
            entry->symlink_status(ignored).type() == fs::file_type::directory) {
            continue;
        }
        if (names.size() == files_max) {
            return failed(directory, "more than " + std::to_string(files_max) + " config files");
        }
        names.push_back(std::move(name));
    }
    if (ec) {
        return failed(directory, ec.message());
    }
    std::sort(names.begin(), names.end());
    return names;
}

}  // namespace

Result<std::vector<std::string>> list_config_files(const ConfigPlaces& places) {
    std::vector<std::string> paths;
    if (!places.file.empty()) {
        paths.push_back(places.file);
    }
    if (places.directory.empty()) {
        return paths;
    }
    const auto names = list(places.directory);
    if (!names) {
        return names.error();
    }
    for (const std::string& name : *names) {
        const fs::path path = fs::path(places.directory) / name;
        std::error_code ec;
        if (!places.file.empty() && fs::equivalent(places.file, path, ec)) {
            return Error(Errc::invalid_config, Blame::internal,
                         "-config path " + places.file + " is also present in -config-dir " +
                             places.directory + "; remove it from one");
        }
        paths.push_back(path.string());
    }
    if (paths.empty()) {
        return failed(places.directory,
                      "no configuration sources found: it holds no *.yaml and no *.yml");
    }
    return paths;
}

Result<std::vector<ConfigText>> read_config_files(const std::vector<std::string>& paths) {
    std::vector<ConfigText> files;
    files.reserve(paths.size());
    std::size_t bytes = 0;
    for (const std::string& path : paths) {
        auto text = read_text_file(path, file_bytes_max);
        if (!text) {
            return text.error();
        }
        bytes += text->size();
        if (bytes > all_bytes_max) {
            return Error(Errc::body_too_large, Blame::internal,
                         "cannot read " + path + ": the config files together are larger than " +
                             std::to_string(all_bytes_max) + " bytes");
        }
        files.push_back({path, std::move(*text)});
    }
    return files;
}

}  // namespace corral
