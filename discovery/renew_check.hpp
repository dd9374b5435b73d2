#pragma once
// The two ends of renewing a config: what stands in it before, and the proof that what would be
// written now means what it should. For renew.cpp. Pure; any thread.

#include "core/config_load.hpp"
#include "discovery/assign.hpp"
#include "discovery/renew.hpp"

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace corral {

/// A block of a model as the file has it.
struct BlockInFile {
    std::string key;
    GivenNames names;
    bool edited = false;
    bool gone = false;  ///< commented out
};

struct ExistingConfig {
    bool is_new = true;  ///< nothing that has to be kept: no file, a blank one, an old unedited one
    std::optional<Config> config;
    bool is_whole = true;         ///< `config` is that of the whole text; else see RenewableLoad
    std::string generated_group;  ///< the id of a group that scan wrote and nobody edited
    std::vector<BlockInFile> blocks;
    bool has_group_block = false;
    bool has_own_group = false;  ///< routing by somebody's own hand: no group is generated
    std::set<std::string> grouped_by_hand;
    struct ByHand {
        std::string id;
        std::string path;  ///< the word after -m
    };
    std::vector<ByHand> by_hand;                  ///< models outside of blocks
    std::map<std::string, std::string> reserved;  ///< names outside of blocks, and whose they are
    GivenByPath old_names;                        ///< of a file that is written anew as a whole
    std::chrono::seconds health_check_timeout{120};

    explicit ExistingConfig(std::string_view text = {});
    [[nodiscard]] bool has_block(const std::string& key) const;
    [[nodiscard]] bool is_edited(const std::string& key) const;
};

/// `loaded`: as in RenewOptions. Errors: invalid_config, with a line for each mistake.
[[nodiscard]] Result<ExistingConfig> read_existing(const std::string& text,
                                                   const std::string& origin,
                                                   const EnvironmentLookup& environment,
                                                   const RenewableLoad* loaded = nullptr);

struct CheckInput {
    std::string text;
    std::string_view existing;  ///< what `before` was read from
    std::string origin;
    const ExistingConfig* before = nullptr;
    const std::map<std::string, std::vector<std::string>>* commands = nullptr;  ///< by path
    const std::map<std::string, std::string>* moved = nullptr;
};

struct CheckedText {
    std::string problem;            ///< why it must not be written; empty: it may
    std::set<std::string> damaged;  ///< paths whose command did not come back word for word
    std::optional<Config> config;
};

[[nodiscard]] CheckedText check_text(const CheckInput& input, const EnvironmentLookup& environment);

}  // namespace corral
