// The program's entry: reads the command line and runs one command. Nothing else lives here.

#include "app/arguments.hpp"
#include "app/commands.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

int main(int argc, char** argv) {
    try {
        CLI::App app(
            "Corral: one address for all your local language models.\n"
            "It starts the model that a request names, stops what is in the way, and relays the "
            "answer.",
            "corral");
        app.set_version_flag("--version", "corral " CORRAL_VERSION);
        app.footer(
            "Without a command `serve` is meant, so llama-swap's command lines work as they are.\n"
            "Example: corral scan ~/models --output config.yaml && corral serve --config "
            "config.yaml");
        app.require_subcommand(1);
        int status = 0;
        corral::add_serve_command(app, status);
        corral::add_check_command(app, status);
        corral::add_scan_command(app, status);
        corral::add_regenerate_command(app, status);
        corral::add_schema_command(app, status);

        auto words = corral::normalize_arguments({argv + 1, argv + argc});
        std::reverse(words.begin(), words.end());  // CLI11 takes a vector from its back
        try {
            app.parse(words);
        } catch (const CLI::ParseError& error) {
            const int code = app.exit(error);
            return code == 0 ? 0 : 1;
        }
        return status;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "corral: internal error: %s\n", error.what());
        return 1;
    }
}
