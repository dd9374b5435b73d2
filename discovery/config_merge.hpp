#pragma once
// Puts what scan would write now into a config that people have edited since, without losing a word
// of theirs. Pure: the date is an argument. Any thread.
//
// What holds for each block (config_blocks.hpp), of a model or of the generated group:
//
//   untouched, its file is there       replaced by what would be written now
//   untouched or edited, file is gone  commented out, with the date
//   edited, its file is there          kept to the letter; the report shows what would be written
//   commented out, file is back        in force again: as it was when edited, else written anew
//   deleted (the caller remembers)     stays deleted
//   new                                inserted by its id, at the indentation of the models there
//
// Text between blocks is never changed, but that a line of it gets the line ending that it lacks
// when something follows, that an empty `models: {}` becomes `models:` when models come, and that
// `models:` or `groups:` is added at the end when there is none. Merging twice changes nothing.

#include "core/error.hpp"
#include "discovery/config_blocks.hpp"

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace corral {

/// A model as it would be written now.
struct GeneratedBlock {
    std::string key;  ///< path of its file
    std::string id;
    std::string body;  ///< at an indentation of two, lines end with "\n"
};

struct MergeInput {
    std::string_view existing;
    std::vector<GeneratedBlock> models;        ///< of every file that is there
    std::set<std::string> deleted;             ///< keys of models that somebody took out
    std::map<std::string, std::string> moved;  ///< key in `existing` → key in `models`
    std::string today;                         ///< "2026-11-26"
    /// Why a model's file counts as gone; half a sentence.
    std::function<std::string(const std::string&)> why_gone;
    bool comment_out = true;  ///< false: models whose files are gone stay in force

    std::string group_id;                   ///< empty: no group is generated
    bool group_deleted = false;             ///< somebody took it out
    std::set<std::string> grouped_by_hand;  ///< ids that are in other groups
    /// The body of the group's block for these members.
    std::function<std::string(const std::vector<std::string>&)> group_body;
};

/// An edited block, and what stands there instead of what would be written.
struct KeptBlock {
    std::string id;
    std::string key;
    std::string written;    ///< its body
    std::string generated;  ///< the body that would be written; empty: nothing, its file is gone
    std::string moved_to;   ///< where its file is now; empty: where it was
};

struct MergeReport {
    std::vector<std::string> added;     ///< ids, as in the other lists
    std::vector<std::string> updated;   ///< untouched ones that are written differently now
    std::vector<std::string> gone;      ///< commented out this time
    std::vector<std::string> returned;  ///< in force again
    std::vector<std::string> deleted;   ///< would be there, but somebody took them out
    std::vector<std::string> absent;    ///< files gone, but still in force (`comment_out` false)
    std::vector<KeptBlock> kept;
    bool group_changed = false;
};

struct Merged {
    std::string text;
    MergeReport report;
};

/// Errors: invalid_config, when `models:` or `groups:` stands there in a form that nothing can be
/// added to; the detail names the line.
[[nodiscard]] Result<Merged> merge_config(const MergeInput& input);

}  // namespace corral
