#include "app/config_source.hpp"

#include "app/paths.hpp"
#include "core/config_load.hpp"
#include "core/file.hpp"
#include "core/log.hpp"
#include "discovery/discovery.hpp"

#include <cstdio>
#include <unistd.h>
#include <utility>

namespace corral {
namespace {

constexpr std::size_t config_bytes_max = 16U << 20U;

Result<std::shared_ptr<const Config>> read(std::string_view text, const std::string& origin) {
    auto loaded = load_config(text, origin, process_environment());
    const bool colour = isatty(STDERR_FILENO) != 0;
    for (const auto& diagnostic : loaded.diagnostics) {
        std::fprintf(stderr, "%s\n", format_diagnostic(diagnostic, colour).c_str());
    }
    if (!loaded.config) {
        return Error(Errc::invalid_config, Blame::internal,
                     "failed to load config " + origin +
                         ": the mistakes are listed above; `corral check " + origin +
                         "` shows them again");
    }
    return std::make_shared<const Config>(std::move(*loaded.config));
}

/// No file anywhere: what `corral scan` would write, without writing it.
Result<std::shared_ptr<const Config>> scan_instead() {
    const auto environment = process_environment();
    DiscoverOptions look;
    look.directories = default_model_directories(environment);
    WriteOptions write;
    if (const auto engine = environment("CORRAL_LLAMA_SERVER"); engine && !engine->empty()) {
        write.engine = *engine;
    }
    write.gpus = probe_gpus();
    const auto written = write_config(discover(look), write);
    if (!written) {
        return written.error();
    }
    auto config = read(written->yaml, "(scan of the model directories)");
    if (config && (*config)->models.empty()) {
        std::string where;
        for (const auto& directory : look.directories) {
            where += (where.empty() ? "" : ", ") + directory;
        }
        spdlog::warn(
            "no config file and no models found in {}. What next: put .gguf files there and "
            "restart, or run `corral scan DIR --output config.yaml` and "
            "`corral serve --config config.yaml`",
            where);
    } else if (config) {
        spdlog::info(
            "no config file: serving the {} models found by a scan. Keep it with "
            "`corral scan --output FILE`",
            (*config)->models.size());
    }
    return config;
}

}  // namespace

Result<std::shared_ptr<const Config>> ConfigSource::load() {
    inputs_.clear();
    std::filesystem::path path = named_;
    if (named_.empty()) {
        for (const auto& candidate : config_candidates(process_environment())) {
            std::error_code ec;
            if (std::filesystem::exists(candidate, ec)) {
                path = candidate;
                break;
            }
        }
        if (path.empty()) {
            return scan_instead();
        }
    }
    inputs_.push_back(path);
    if (writable_by_others(path.string())) {
        spdlog::warn(
            "others may write {}: it holds commands, so whoever writes it runs them "
            "(chmod go-w)",
            log::clean(path.string()));
    }
    auto text = read_text_file(path.string(), config_bytes_max);
    if (!text) {
        return text.error();
    }
    return read(*text, path.string());
}

}  // namespace corral
