#pragma once
// The whole way from what was found to the text of a config: names, blocks, the merge into what
// stands there, and the proof that nothing of it lost its meaning. Pure but for the questions that
// the options ask; any thread.
//
// What is written was loaded before anyone sees it. Each command came back word for word, and every
// model, group and setting that is not scan's own means what it meant before; else nothing is
// written and the error says why and where.

#include "core/config_load.hpp"
#include "discovery/config_merge.hpp"
#include "discovery/discovery.hpp"
#include "discovery/remembered.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace corral {

/// The config in a text that is to be renewed.
struct RenewableLoad {
    ConfigLoad load;
    bool is_whole = true;  ///< false: without the generated group
};

/// A generated group that nobody edited is left out where the text does not load with it: it may
/// name models which somebody has taken out or renamed.
[[nodiscard]] RenewableLoad load_renewable(std::string_view text, std::string_view origin,
                                           const EnvironmentLookup& environment);

struct RenewOptions {
    WriteOptions write;    ///< `given` comes after the names in `existing`
    std::string existing;  ///< the config that is to be renewed; blank: none
    std::string origin;    ///< its name, for messages
    Remembered remembered;
    std::vector<std::string> forget;  ///< ids, aliases or paths that may come back; "all"
    std::string today;                ///< "2026-11-26"
    bool comment_out = true;          ///< false: not everything was looked at, so nothing has gone
    EnvironmentLookup environment;    ///< for ${env.NAME} in `existing`
    /// `existing` as load_renewable() gave it; nullptr: it is loaded here. Borrowed.
    const RenewableLoad* loaded = nullptr;
    std::function<bool(const std::string&)> exists;  ///< whether a path is there
    std::function<FileFingerprint(const std::string&)> identify;
};

struct Renewal {
    WrittenConfig written;  ///< `models`: those that were found and are in force
    MergeReport report;
    Remembered remembered;                   ///< for the next time, once the text has been written
    std::vector<std::string> not_forgotten;  ///< of `forget`: nothing has such a name
    bool is_partial = false;                 ///< `comment_out` was false
    bool has_own_models = false;             ///< models for files stand outside of blocks
};

/// Errors: invalid_config (`existing` cannot be loaded, or nothing can be added to it; the detail
/// has a line for each mistake), internal.
[[nodiscard]] Result<Renewal> renew_config(const Discovery& discovery, const RenewOptions& options);

}  // namespace corral
