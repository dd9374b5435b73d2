#pragma once
// --watch-config: binds a FileWatcher to the loop and says when the config's files may have
// changed. Falls back to looking every two seconds where watching is not possible. Main loop only.

#include "core/debounce.hpp"
#include "core/file_stamps.hpp"
#include "core/file_watcher.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

namespace corral {

class ConfigWatch {
public:
    using Inputs = std::function<std::vector<std::filesystem::path>()>;
    using OnChange = std::function<void()>;

    /// Watches from now on. `inputs` is asked again after each change.
    ConfigWatch(boost::asio::any_io_executor executor, Inputs inputs);

    /// Calls `on_change` once for changes close together, until it is cancelled. This object
    /// outlives the coroutine.
    [[nodiscard]] boost::asio::awaitable<void> run(OnChange on_change);

private:
    bool watch();
    void give_up(const Error& error);
    boost::asio::awaitable<bool> wait_for_events();
    boost::asio::awaitable<bool> wait_for_stamps();

    Inputs inputs_;
    std::vector<std::filesystem::path> watched_;
    std::optional<FileWatcher> watcher_;  // none: stamps_ are compared
    FileStamps stamps_;
    Debounce debounce_;
    boost::asio::posix::stream_descriptor events_;  // a duplicate of the watcher's descriptor
    boost::asio::steady_timer timer_;
};

}  // namespace corral
