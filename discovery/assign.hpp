#pragma once
// Gives every found model its id and aliases: unique over the whole config, the same for the same
// disks in whatever order they were read, and sticky: what an earlier config gave to a file stays
// with the file. Pure; any thread.

#include "core/config.hpp"
#include "discovery/catalogue.hpp"

#include <map>
#include <string>
#include <vector>

namespace corral {

/// What an earlier config called one file.
struct GivenNames {
    std::string id;
    std::vector<std::string> aliases;
};

/// By path of the model file (the word after -m).
using GivenByPath = std::map<std::string, GivenNames, std::less<>>;

/// The word after -m or --model of its command; empty when there is none.
[[nodiscard]] std::string model_file_of(const ModelConfig& model);

/// The names in a config: of every model whose command has -m or --model. Of two models with one
/// file the first by id counts.
[[nodiscard]] GivenByPath given_names(const Config& config);

/// What names are given by, beside the files.
struct NamingOptions {
    NamingRule naming = NamingRule::documented;
    bool openai_aliases = true;
    std::vector<AliasRule> alias_rules;
    /// Names that others have, and who: no model gets one of these.
    std::map<std::string, std::string> reserved;
    /// Ids that the settings ask for, by path of the file.
    std::map<std::string, std::string, std::less<>> wanted;
};

struct NamedAlias {
    std::string name;
    std::string why;  ///< half a sentence for the comment beside it
};

struct NamedModel {
    const FoundModel* found = nullptr;  ///< borrowed from the list that assign_names() was given
    std::string id;
    std::vector<NamedAlias> aliases;
    std::vector<std::string> notes;  ///< sentences: names that it could not get, and who has them
};

/// Sorted by id. Requires: no pointer is null. The notes and reasons follow from the names alone,
/// so that running again on the result changes nothing.
[[nodiscard]] std::vector<NamedModel> assign_names(const std::vector<const FoundModel*>& models,
                                                   const GivenByPath& given,
                                                   const NamingOptions& options = {});

}  // namespace corral
