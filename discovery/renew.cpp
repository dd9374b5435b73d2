// Names, blocks, merge, proof; see renew.hpp.

#include "discovery/renew.hpp"

#include "core/config_difference.hpp"
#include "discovery/model_block.hpp"
#include "discovery/renew_check.hpp"
#include "discovery/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

namespace corral {

namespace {

constexpr std::string_view group_name = "default_group";
constexpr std::string_view everything = "all";

/// A config is read up to 16 MiB; this many models stay far below that.
constexpr std::size_t models_max = 10'000;

std::string file_name_of(const std::string& path) {
    return path.substr(path.find_last_of('/') + 1);
}

class Renewer {
public:
    Renewer(const Discovery& discovery, const RenewOptions& options)
        : discovery_(discovery), options_(options), existing_(options.existing) {}

    Result<Renewal> run() {
        if (const std::string& engine = options_.write.engine;
            engine.empty() || !path_problem(engine).empty()) {
            return Error(Errc::invalid_config, Blame::internal,
                         "the engine " + escaped(engine) +
                             " cannot stand in a config: " + path_problem(engine));
        }
        Result<ExistingConfig> existing = read_existing(options_.existing, options_.origin,
                                                        options_.environment, options_.loaded);
        if (!existing) {
            return existing.error();
        }
        existing_ = std::move(*existing);
        select_models();
        find_moved();
        forget();
        find_deleted();
        // Thrice at most: without what is damaged, and with what has gone but is still named.
        Error failure(Errc::internal, Blame::internal, "a config did not come back as written");
        bool comment_out = options_.comment_out;
        for (int attempt = 0; attempt < 3; ++attempt) {
            Result<Merged> merged = merge(comment_out);
            if (!merged) {
                return merged.error();
            }
            const CheckedText checked = check(*merged);
            if (!checked.problem.empty()) {
                failure = Error(Errc::invalid_config, Blame::internal, checked.problem);
                if (!comment_out || merged->report.gone.empty()) {
                    break;
                }
                comment_out = false;
            } else if (!checked.damaged.empty()) {
                leave_out(checked.damaged);
            } else {
                return finish(std::move(*merged), *checked.config);
            }
        }
        return failure;
    }

private:
    /// The models that the config is to have: no more than it can hold, none that is left out.
    void select_models() {
        const std::vector<FoundModel>& found = discovery_.catalogue.models;
        if (found.size() > models_max) {
            left_out_.push_back({found[models_max].path,
                                 fmt::format("this and what follows: there are {} models, and a "
                                             "config holds {}",
                                             found.size(), models_max)});
        }
        for (std::size_t i = 0; i < std::min(found.size(), models_max); ++i) {
            if (override_for(options_.write.settings, found[i].path).skip) {
                left_out_.push_back({found[i].path, "`discovery:` says to skip it"});
                continue;
            }
            const FileFingerprint identity = identity_of(found[i].path);
            const auto by_hand = std::find_if(
                existing_.by_hand.begin(), existing_.by_hand.end(), [&](const auto& hand) {
                    return hand.path == found[i].path ||
                           (identity != FileFingerprint{} && identity_of(hand.path) == identity);
                });
            if (by_hand != existing_.by_hand.end()) {
                by_hand_.emplace(by_hand->id, &found[i]);
            } else {
                models_.emplace(found[i].path, &found[i]);
            }
        }
    }

    FileFingerprint identity_of(const std::string& path) {
        if (!options_.identify) {
            return {};
        }
        const auto [at, is_new] = identities_.try_emplace(path);
        if (is_new) {
            at->second = options_.identify(path);
        }
        return at->second;
    }

    bool exists(const std::string& path) const { return options_.exists && options_.exists(path); }

    /// Which files are known under another path: by device and inode, else by name and size.
    void find_moved() {
        std::set<std::string> known;
        for (const BlockInFile& block : existing_.blocks) {
            known.insert(block.key);
        }
        for (const auto& [path, model] : options_.remembered.models) {
            known.insert(path);
        }
        std::map<std::string, std::vector<std::string>> strangers;  // by file name
        for (const auto& [path, model] : models_) {
            if (!known.contains(path)) {
                strangers[file_name_of(path)].push_back(path);
            }
        }
        if (strangers.empty()) {
            return;
        }
        std::set<std::string> taken;
        for (const std::string& path : known) {
            if (models_.contains(path) || exists(path)) {
                continue;
            }
            const std::string now = moved_path(path, strangers);
            if (!now.empty() && taken.insert(now).second) {
                moved_.emplace(path, now);
            }
        }
    }

    std::string moved_path(const std::string& path,
                           const std::map<std::string, std::vector<std::string>>& strangers) {
        const auto remembered = options_.remembered.models.find(path);
        const FileFingerprint was = remembered == options_.remembered.models.end()
                                        ? FileFingerprint{}
                                        : remembered->second.identity;
        if (was != FileFingerprint{}) {
            for (const auto& [name, paths] : strangers) {
                for (const std::string& candidate : paths) {
                    if (identity_of(candidate) == was) {
                        return candidate;
                    }
                }
            }
        }
        std::vector<std::string> fit;
        if (const auto named = strangers.find(file_name_of(path)); named != strangers.end()) {
            std::copy_if(named->second.begin(), named->second.end(), std::back_inserter(fit),
                         [&](const std::string& candidate) {
                             return was == FileFingerprint{} ||
                                    identity_of(candidate).bytes == was.bytes;
                         });
        }
        return fit.size() == 1 ? fit.front() : std::string();
    }

    std::string now_at(const std::string& path) const {
        const auto moved = moved_.find(path);
        return moved == moved_.end() ? path : moved->second;
    }

    void forget() {
        remembered_ = options_.remembered;
        for (const std::string& name : options_.forget) {
            bool found = name == everything;
            if (name == everything || name == group_name) {
                found = found || remembered_.group_written || remembered_.group_deleted;
                remembered_.group_written = remembered_.group_deleted = false;
            }
            for (auto model = remembered_.models.begin(); model != remembered_.models.end();) {
                const std::vector<std::string>& aliases = model->second.aliases;
                const bool meant = name == everything || name == model->first ||
                                   name == model->second.id ||
                                   std::find(aliases.begin(), aliases.end(), name) != aliases.end();
                found = found || meant;
                if (meant && !existing_.has_block(model->first)) {
                    brought_back_.insert(now_at(model->first));
                    model->second.deleted = false;
                }
                ++model;
            }
            if (!found) {
                not_forgotten_.push_back(name);
            }
        }
    }

    /// What was written and does not stand there any more: somebody took it out.
    void find_deleted() {
        if (existing_.is_new) {
            for (auto& [path, model] : remembered_.models) {
                model.deleted = false;
            }
            remembered_.group_written = remembered_.group_deleted = false;
            return;
        }
        for (auto& [path, model] : remembered_.models) {
            const std::string now = now_at(path);
            const bool stands = existing_.has_block(path) || existing_.has_block(now);
            const bool by_hand = std::any_of(
                existing_.by_hand.begin(), existing_.by_hand.end(),
                [&](const auto& hand) { return hand.path == path || hand.path == now; });
            model.deleted =
                (model.deleted || (!stands && !by_hand)) && !stands && !brought_back_.contains(now);
            if (model.deleted && models_.contains(now)) {
                deleted_.emplace(now, model.id);
            }
        }
        const bool group_gone = remembered_.group_written && !existing_.has_group_block;
        remembered_.group_deleted = remembered_.group_deleted || group_gone;
    }

    void leave_out(const std::set<std::string>& damaged) {
        for (const std::string& path : damaged) {
            left_out_.push_back({path, "its path does not come through a config unchanged"});
            models_.erase(path);
        }
    }

    /// Names that files have: by the config, by what is remembered, by the caller.
    GivenByPath given() const {
        GivenByPath out;
        std::set<std::string> used;
        const auto add = [&](const std::string& path, GivenNames names, bool must_be_free) {
            if (!models_.contains(path) || out.contains(path)) {
                return;
            }
            if (must_be_free) {
                std::erase_if(names.aliases,
                              [&](const std::string& alias) { return used.contains(alias); });
                if (used.contains(names.id)) {
                    return;
                }
            }
            used.insert(names.id);
            used.insert(names.aliases.begin(), names.aliases.end());
            out.emplace(path, std::move(names));
        };
        // First what stands in the file whatever scan thinks, then who is in force, then who
        // returns.
        for (const bool edited : {true, false}) {
            for (const bool gone : {false, true}) {
                for (const BlockInFile& block : existing_.blocks) {
                    if (block.edited == edited && block.gone == gone) {
                        add(now_at(block.key), block.names, gone || !edited);
                    }
                }
            }
        }
        for (const auto& [path, model] : remembered_.models) {
            add(now_at(path), {model.id, model.aliases}, true);
        }
        for (const auto& [path, names] : existing_.old_names) {
            add(path, names, true);
        }
        for (const auto& [path, names] : options_.write.given) {
            add(path, names, true);
        }
        return out;
    }

    NamingOptions naming(bool comment_out) const {
        const DiscoveryConfig& settings = options_.write.settings;
        NamingOptions naming;
        naming.naming = settings.naming;
        naming.openai_aliases = settings.openai_aliases;
        naming.alias_rules = settings.alias_rules;
        naming.reserved = existing_.reserved;
        for (const BlockInFile& block : existing_.blocks) {
            if (!models_.contains(now_at(block.key))) {
                // Its file has gone. Its own name waits for it, the others pass on.
                naming.reserved.emplace(block.names.id, block.names.id);
                for (const std::string& alias : block.names.aliases) {
                    if (!comment_out && !block.gone) {
                        naming.reserved.emplace(alias, block.names.id);
                    }
                }
            }
        }
        for (const auto& [path, model] : models_) {
            const std::string name = override_for(settings, path).name;
            const bool edited = existing_.is_edited(path);
            if (!name.empty() && !edited) {
                naming.wanted.emplace(path, name);
            }
        }
        for (const auto& [path, id] : deleted_) {
            naming.reserved.emplace(id, id);
        }
        return naming;
    }

    std::chrono::seconds health_check_timeout() const {
        if (!existing_.is_new) {
            return existing_.health_check_timeout;
        }
        std::chrono::seconds longest{30};
        for (const auto& [path, model] : models_) {
            longest = std::max(longest, load_time(*model));
        }
        return longest;
    }

    Result<Merged> merge(bool comment_out) {
        std::vector<const FoundModel*> named;
        for (const auto& [path, model] : models_) {
            if (!deleted_.contains(path)) {
                named.push_back(model);
            }
        }
        BlockOptions how{options_.write.engine, options_.write.gpus, options_.write.settings,
                         health_check_timeout()};
        const std::string text =
            existing_.is_new ? skeleton(how.settings, how.health_check_timeout) : options_.existing;
        MergeInput input;
        input.existing = text;
        commands_.clear();
        for (const NamedModel& model : assign_names(named, given(), naming(comment_out))) {
            ModelBlock block = make_block(model, how);
            notes_[model.found->path] = model.notes;
            commands_.emplace(model.found->path, std::move(block.argv));
            input.models.push_back({model.found->path, model.id, std::move(block.body)});
        }
        for (const auto& [path, id] : deleted_) {
            input.models.push_back({path, id, ""});
            input.deleted.insert(path);
        }
        input.moved = moved_;
        input.today = options_.today;
        input.why_gone = [this](const std::string& path) { return why_gone(path); };
        input.comment_out = comment_out;
        if (how.settings.exclusive_group && !existing_.has_own_group) {
            input.group_id = group_name;
        }
        input.group_deleted = remembered_.group_deleted;
        input.grouped_by_hand = existing_.grouped_by_hand;
        input.group_body = [](const std::vector<std::string>& members) {
            return group_block_body(std::string(group_name), members);
        };
        return merge_config(input);
    }

    std::string why_gone(const std::string& path) const {
        for (const std::vector<LeftOut>* list : {&left_out_, &discovery_.catalogue.left_out}) {
            for (const LeftOut& item : *list) {
                if (item.path == path) {
                    return escaped(item.reason, 300);
                }
            }
        }
        return exists(path) ? "its file is in none of the directories that were scanned"
                            : "its file is not there";
    }

    CheckedText check(const Merged& merged) const {
        CheckInput input;
        input.text = merged.text;
        input.existing = options_.existing;
        input.origin = options_.origin.empty() ? "scan" : options_.origin;
        input.before = &existing_;
        input.commands = &commands_;
        input.moved = &moved_;
        return check_text(input, options_.environment);
    }

    Renewal finish(Merged merged, const Config& config) {
        Renewal renewal;
        std::map<std::string, RememberedModel> now;
        renewal.remembered.group_deleted = remembered_.group_deleted;
        for (const ConfigPiece& piece : split_config(merged.text)) {
            if (!piece.is_block) {
                continue;
            }
            if (piece.block.is_group) {
                renewal.remembered.group_written = true;
                renewal.remembered.group_deleted = false;
                continue;
            }
            const ModelConfig* model =
                piece.block.gone.empty() ? config.find_id(ModelId(piece.block.id)) : nullptr;
            now.insert_or_assign(piece.block.key, remember(piece.block, model));
            const auto found = models_.find(now_at(piece.block.key));
            if (model != nullptr && found != models_.end()) {
                renewal.written.models.push_back({model->id.str(), model->aliases, found->first,
                                                  found->second, notes_[found->first]});
            }
        }
        for (const auto& [id, found] : by_hand_) {
            const ModelConfig* model = config.find_id(ModelId(id));
            renewal.written.models.push_back(
                {id,
                 model != nullptr ? model->aliases : std::vector<std::string>(),
                 found->path,
                 found,
                 {}});
        }
        std::sort(renewal.written.models.begin(), renewal.written.models.end(),
                  [](const WrittenModel& a, const WrittenModel& b) { return a.id < b.id; });
        for (auto& [path, model] : remembered_.models) {
            if (!now.contains(path) && !now.contains(now_at(path))) {
                now.emplace(path, std::move(model));
            }
        }
        renewal.remembered.models = std::move(now);
        renewal.written.yaml = std::move(merged.text);
        renewal.written.left_out = std::move(left_out_);
        renewal.report = std::move(merged.report);
        renewal.not_forgotten = std::move(not_forgotten_);
        renewal.is_partial = !options_.comment_out;
        renewal.has_own_models = !existing_.by_hand.empty();
        return renewal;
    }

    RememberedModel remember(const ConfigBlock& block, const ModelConfig* model) {
        RememberedModel out;
        if (const auto before = remembered_.models.find(block.key);
            before != remembered_.models.end()) {
            out = before->second;
        }
        out.id = block.id;
        out.deleted = false;
        if (model != nullptr) {
            out.aliases = model->aliases;
        }
        if (const FileFingerprint now = identity_of(now_at(block.key)); now != FileFingerprint{}) {
            out.identity = now;
        }
        return out;
    }

    const Discovery& discovery_;
    const RenewOptions& options_;
    ExistingConfig existing_;
    Remembered remembered_;
    std::map<std::string, const FoundModel*> models_;   // to be written, by path
    std::map<std::string, const FoundModel*> by_hand_;  // by the id that somebody gave it
    std::map<std::string, std::string> moved_;          // path in blocks and memory → path now
    std::map<std::string, std::string> deleted_;        // path now → id
    std::set<std::string> brought_back_;                // by `forget`
    std::vector<std::string> not_forgotten_;
    std::map<std::string, FileFingerprint> identities_;
    std::map<std::string, std::vector<std::string>> commands_;  // by path
    std::map<std::string, std::vector<std::string>> notes_;     // the same
    std::vector<LeftOut> left_out_;
};

}  // namespace

Result<Renewal> renew_config(const Discovery& discovery, const RenewOptions& options) {
    return Renewer(discovery, options).run();
}

}  // namespace corral
