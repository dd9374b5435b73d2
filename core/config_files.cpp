#include "core/config_files.hpp"

#include "core/file.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <unistd.h>
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

/// Why no database can be kept at this path, in llama-swap's words; empty when one can.
std::string store_mistake(const fs::path& path) {
    std::error_code ec;
    if (fs::is_directory(path, ec)) {
        return path.string() + " is a directory, not a file";
    }
    if (fs::exists(path, ec)) {
        return ::access(path.c_str(), W_OK) == 0 ? "" : path.string() + " is not writable";
    }
    const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
    if (::access(parent.c_str(), W_OK) != 0) {
        return "directory " + parent.string() +
               " is not writable: " + std::generic_category().message(errno);
    }
    return fs::is_directory(parent, ec) ? "" : parent.string() + " is not a directory";
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

ConfigLoad load_config_here(const std::vector<ConfigText>& texts,
                            const EnvironmentLookup& environment) {
    ConfigLoad out = load_config(texts, environment);
    const std::string mistake =
        out.config && !out.config->store_path.empty() ? store_mistake(out.config->store_path) : "";
    if (!mistake.empty()) {
        Diagnostic found;
        found.file = texts.empty() ? "" : texts.front().name;
        found.message = "store.path: " + mistake;
        found.hint = "name a file in a directory that this user may write";
        out.diagnostics.push_back(std::move(found));
        out.config.reset();
    }
    return out;
}

}  // namespace corral
