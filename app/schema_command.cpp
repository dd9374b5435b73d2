// `corral schema`: the configuration's JSON Schema, for editors; and, for those who change the
// table of keys, the copies of it in the source tree. Main thread; never starts anything.
#include "app/commands.hpp"
#include "core/config_reference.hpp"
#include "core/config_schema.hpp"
#include "core/file.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>
#include <string>

namespace corral {
namespace {

constexpr std::size_t document_bytes_max = 1U << 20U;

Result<void> update(const std::string& folder) {
    const std::string document = folder + "/docs/configuration.md";
    const auto text = read_text_file(document, document_bytes_max);
    if (!text) {
        return text.error();
    }
    const auto updated = with_key_tables(*text);
    if (!updated) {
        return updated.error();
    }
    if (auto written = write_file_atomically(document, *updated); !written) {
        return written;
    }
    return write_file_atomically(folder + "/docs/config-schema.json", config_schema());
}

int run_schema(const std::string& folder) {
    if (folder.empty()) {
        const std::string text = config_schema();
        const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
                             std::fflush(stdout) == 0;
        return written ? 0 : 1;
    }
    if (const auto done = update(folder); !done) {
        std::fprintf(stderr, "corral schema: %s\n", done.error().detail.c_str());
        return 1;
    }
    return 0;
}

}  // namespace

void add_schema_command(CLI::App& app, int& status) {
    const auto folder = std::make_shared<std::string>();
    CLI::App* command =
        app.add_subcommand("schema", "Print the JSON Schema of config.yaml, for editors");
    // For those who work on Corral: docs/configuration.md says when.
    command->add_option("--update-docs", *folder, "The source tree whose docs/ are made anew")
        ->group("");
    command->footer(
        "Example: corral schema > config-schema.json, and as the first line of config.yaml:\n"
        "# yaml-language-server: $schema=config-schema.json\n"
        "Exit status: 0 printed, 1 it could not be written.");
    command->callback([folder, &status] { status = run_schema(*folder); });
}

}  // namespace corral
