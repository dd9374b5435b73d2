// The command line of `corral serve`, llama-swap's flags among it.

#include "app/commands.hpp"
#include "app/paths.hpp"
#include "app/serve.hpp"
#include "supervisor/launch/guard.hpp"
#include "supervisor/launch/leftovers.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>

namespace corral {
namespace {

/// One without the other is a mistake, in llama-swap, too.
bool is_whole(const TlsFiles& files) {
    if (files.certificate.empty() != files.key.empty()) {
        std::fputs("corral: both --tls-cert-file and --tls-key-file must be provided for TLS\n",
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
    command->add_option("-c,--config", options->config.file,
                        "Config file; by default $CORRAL_CONFIG, the user's, /etc/corral's, or "
                        "none: then the model directories are scanned");
    command
        ->add_option("-l,--listen", options->listen,
                     "HOST:PORT, [IPV6]:PORT, :PORT for every address, unix:/path (default: the "
                     "config's `listen:`, else 127.0.0.1:8091); may be given several times")
        ->allow_extra_args(false);
    command->add_flag("!--no-guard", options->guard, "One process only, for a debugger");
    command->add_flag("--watch-config", options->watch_config,
                      "Reload when the config's files change; SIGHUP reloads as well");
    command->add_option("--config-dir", options->config.directory,
                        "Directory whose *.yaml and *.yml are merged, after --config if there is "
                        "one");
    command->add_option("--tls-cert-file", options->tls.certificate,
                        "Serve https with this certificate (PEM, the chain behind it); read again "
                        "on SIGHUP");
    command->add_option("--tls-key-file", options->tls.key, "Its private key (PEM)");
    command->footer("Example: corral serve --config config.yaml --listen 127.0.0.1:8091");
    command->callback([options, &status] {
        if (!is_whole(options->tls)) {
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
