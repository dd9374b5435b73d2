#pragma once
// Looks at the model directories and renews a config file, for `corral scan`, `corral regenerate`
// and the server. Blocks for the disk, for as long as the directories are large: never on the loop.
// Shares nothing; any thread.

#include "core/config_load.hpp"
#include "discovery/discovery.hpp"
#include "discovery/fingerprint.hpp"
#include "discovery/renew.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace corral {

/// What a command line says in place of the file's `discovery:`.
struct ScanFlags {
    std::vector<std::string> directories;
    std::string engine;
    std::optional<std::chrono::seconds> ttl;
    std::optional<NamingRule> naming;
    std::optional<bool> openai_aliases;
    std::vector<AliasRule> alias_rules;
    std::optional<bool> exclusive_group;
    std::optional<bool> watch;
    std::vector<DiscoveryOverride> overrides;

    friend bool operator==(const ScanFlags&, const ScanFlags&) = default;
};

struct RescanRequest {
    std::string file;  ///< the config to renew; empty: one is made from nothing
    ScanFlags flags;
    std::vector<std::string> forget;
};

struct Rescan {
    std::string before;    ///< the file's bytes
    bool present = false;  ///< there was such a file
    Discovery discovery;
    bool by_default = false;          ///< nobody named the directories
    std::vector<std::string> places;  ///< the named ones
    Renewal renewal;
    bool is_partial = false;         ///< a directory could not be read: nothing counts as gone
    std::vector<std::string> notes;  ///< sentences for who asked

    /// What was asked, but for texts that a scan itself may change; nullopt: nothing that is kept.
    std::optional<Fingerprint> question;
    std::uint64_t disk = 0;  ///< fingerprint_of() what was found
    bool is_kept = false;    ///< question and disk are those of the last scan: so is the answer

    [[nodiscard]] bool changes() const { return before != renewal.written.yaml; }
    /// Every file that was left out, with the reason.
    [[nodiscard]] std::vector<LeftOut> left_out() const;
};

/// Writes nothing. Errors: invalid_config (with a line for each mistake), io.
[[nodiscard]] Result<Rescan> rescan(const RescanRequest& request,
                                    const EnvironmentLookup& environment);

/// Replaces the file, the one before it kept as FILE.bak, and remembers what was written. A file
/// that is the same is not touched. Gives sentences for who asked. Errors: io, also when the file
/// has changed since it was read.
[[nodiscard]] Result<std::vector<std::string>> save(const Rescan& rescan, const std::string& file,
                                                    const EnvironmentLookup& environment);

/// What happened to the models, a line each, with the marks of the command line: + ~ -.
[[nodiscard]] std::vector<std::string> describe(const Renewal& renewal);

}  // namespace corral
