#pragma once
// What changed between two configurations: which models go on as they are, which need a new
// process, which only take new values, and which keys Corral reads at its start only. The scheduler
// decides by it, the log and the answer of a reload tell it. Names only, never values: some are
// secret. Pure; any thread.

#include "core/config.hpp"

#include <string>
#include <vector>

namespace corral {

struct ConfigDifference {
    std::vector<std::string> added;          ///< models, sorted, as in all lists of models
    std::vector<std::string> removed;        ///< they drain and stop
    std::vector<std::string> restarted;      ///< they drain, and start anew when they are asked for
    std::vector<std::string> updated;        ///< new values take effect at once, the process stays
    std::vector<std::string> settings;       ///< keys outside of `models` whose values changed
    std::vector<std::string> needs_restart;  ///< those that Corral reads only at its own start

    [[nodiscard]] bool empty() const noexcept;
    friend bool operator==(const ConfigDifference&, const ConfigDifference&) = default;
};

/// Compares what was loaded, not how it was written: comments, order and macros do not count, nor
/// do the ports that models get by their place in the list.
[[nodiscard]] ConfigDifference difference(const Config& before, const Config& after);

/// True when a process that was started as `before` can go on serving as `after`: the command, its
/// environment, its address and the limits of its process are the same.
[[nodiscard]] bool same_process(const ModelConfig& before, const ModelConfig& after);

/// "added a, b; removed c; settings logLevel" for one log line; "nothing changed" for none. Long
/// lists are cut. Names are as in the config: the caller makes them safe for a log.
[[nodiscard]] std::string describe(const ConfigDifference& difference);

}  // namespace corral
