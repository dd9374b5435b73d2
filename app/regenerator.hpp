#pragma once
// Renews the config of the running server: on request, and with `discovery.watch` whenever model
// files come and go. The scan is a process of its own, this program again: the loop never waits for
// a disk, and a file that breaks the reader breaks nothing else. Main loop only.

#include "app/config_source.hpp"
#include "core/discovery_config.hpp"
#include "proxy/api/regenerate.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace corral {

class Regenerator {
public:
    using Reload = std::function<api::ReloadReport()>;

    /// `source` outlives it. `reload` reads the file and puts it in force.
    Regenerator(boost::asio::any_io_executor executor, const ConfigSource& source, Reload reload);

    /// Scans, writes, reloads. Who calls meanwhile waits for the same report.
    [[nodiscard]] boost::asio::awaitable<api::RegenerateReport> regenerate();

    /// Scans whenever files come and go while the config says so, until it is cancelled. `settings`
    /// gives those that hold; see settings_changed(). This object outlives the coroutine.
    [[nodiscard]] boost::asio::awaitable<void> watch(std::function<DiscoveryConfig()> settings);

    /// To be called after each reload: the watch looks at the settings again.
    void settings_changed();

private:
    boost::asio::awaitable<api::RegenerateReport> scan_once();
    boost::asio::awaitable<void> watch_files(std::string file);
    void take(const std::string& line);

    boost::asio::any_io_executor executor_;
    const ConfigSource& source_;
    Reload reload_;
    std::shared_ptr<api::RegenerateReport> under_way_;  // who waits holds it, too
    boost::asio::steady_timer finished_;                // never due: cancelled at each end
    boost::asio::steady_timer poke_;                    // the same for settings_changed()
};

}  // namespace corral
