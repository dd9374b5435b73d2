// The command line of `corral serve`, llama-swap's flags among it.

#include "app/commands.hpp"
#include "app/paths.hpp"
#include "app/serve.hpp"
#include "supervisor/launch/guard.hpp"
#include "supervisor/launch/leftovers.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>
#include <string>

namespace corral {
namespace {

/// Flags of llama-swap whose issue has not come yet: taken, and said so, but never ignored in
/// silence.
struct NotYet {
    std::string tls_cert_file;
    std::string tls_key_file;
};

/// False when a flag was given that cannot be ignored without harm.
bool accept_not_yet(const NotYet& flags) {
    if (!flags.tls_cert_file.empty() || !flags.tls_key_file.empty()) {
        std::fputs(
            "corral: --tls-cert-file and --tls-key-file are not yet supported: put a TLS proxy in "
            "front\n",
            stderr);
        return false;
    }
    return true;
}

/// The guard's last act when the server was killed. The server's log has ended: standard error.
void stop_what_models_left() {
    stop_leftovers(
        leftovers_directory(process_environment()), leftovers_timeout_ms,
        [](const std::string& text) { std::fprintf(stderr, "corral: %s\n", text.c_str()); });
}

}  // namespace

void add_serve_command(CLI::App& app, int& status) {
    auto* command = app.add_subcommand("serve", "Run the proxy (the default command)");
    auto options = std::make_shared<ServeOptions>();
    auto not_yet = std::make_shared<NotYet>();
    command->add_option("-c,--config", options->config.file,
                        "Config file; by default $CORRAL_CONFIG, the user's, /etc/corral's, or "
                        "none: then the model directories are scanned");
    command
        ->add_option("-l,--listen", options->listen,
                     "HOST:PORT, :PORT for every address (default 127.0.0.1:8091); may be given "
                     "several times")
        ->allow_extra_args(false);
    command->add_flag("!--no-guard", options->guard, "One process only, for a debugger");
    command->add_flag("--watch-config", options->watch_config,
                      "Reload when the config's files change; SIGHUP reloads as well");
    command->add_option("--config-dir", options->config.directory,
                        "Directory whose *.yaml and *.yml are merged, after --config if there is "
                        "one");
    command->add_option("--tls-cert-file", not_yet->tls_cert_file, "TLS certificate");
    command->add_option("--tls-key-file", not_yet->tls_key_file, "TLS key");
    command->footer("Example: corral serve --config config.yaml --listen 127.0.0.1:8091");
    command->callback([options, not_yet, &status] {
        if (!accept_not_yet(*not_yet)) {
            status = 1;
            return;
        }
        if (options->guard) {
            status = run_guarded([options](int guard_fd) { return serve(*options, guard_fd); },
                                 stop_what_models_left);
        } else {
            become_subreaper();
            status = serve(*options, -1);
        }
    });
}

}  // namespace corral
