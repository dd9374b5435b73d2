// The rules for ids and aliases; see assign.hpp and docs/discovery.md.

#include "discovery/assign.hpp"

#include "discovery/file_pattern.hpp"
#include "discovery/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

namespace corral {

namespace {

constexpr double small_billions = 2.0;  // below: gpt-3.5-turbo
constexpr double large_billions = 4.0;  // from here: gpt-4

/// A name that clients written for OpenAI's models ask for, and which model answers to it.
struct OpenAiRule {
    std::string_view alias;
    std::string_view why;
    bool (*applies)(const FoundModel&);
    bool largest;
};

bool says_chat(const FoundModel& model) {
    return model.file.role == ModelRole::chat || model.file_name.says_chat;
}

constexpr std::array<OpenAiRule, 3> openai_rules{{
    {"gpt-3.5-turbo", "the smallest model below 2B parameters",
     [](const FoundModel& model) { return model.billions() < small_billions; }, false},
    {"gpt-4", "the largest model of 4B parameters or more",
     [](const FoundModel& model) { return model.billions() >= large_billions; }, true},
    {"text-davinci-003", "the largest instruct or chat model", says_chat, true},
}};

/// Numbers in versions compare as numbers: v0.10 is after v0.9.
std::vector<unsigned long> version_numbers(std::string_view version) {
    std::vector<unsigned long> numbers;
    bool open = false;
    for (const char c : version) {
        if (c < '0' || c > '9') {
            open = false;
            continue;
        }
        if (!open) {
            numbers.push_back(0);
            open = true;
        }
        numbers.back() =
            std::min(numbers.back() * 10 + static_cast<unsigned long>(c - '0'), 100'000'000UL);
    }
    return numbers;
}

/// Which of the models with one name is asked first: Q4_K_M, then the later version, then size.
bool is_preferred(const FoundModel& a, const FoundModel& b) {
    const auto key = [](const FoundModel& model) {
        return std::tuple(model.quantization() == "q4_k_m",
                          version_numbers(model.file_name.version), model.file.file_bytes);
    };
    const auto key_a = key(a);
    const auto key_b = key(b);
    return key_a != key_b ? key_a > key_b : a.path < b.path;
}

std::string directory_name(std::string_view path) {
    const std::string_view directory = path.substr(0, path.find_last_of('/'));
    return plain_name(directory.substr(directory.find_last_of('/') + 1));
}

/// File stems become aliases only when they need no quoting anywhere.
bool is_safe_alias(std::string_view name) {
    return !name.empty() && name.size() <= 200 && name.front() != '-' && name.front() != '.' &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '_' || c == '-' || c == '+' || c == '@';
           });
}

/// Names from an earlier config are taken as they are, as long as they can be written again.
bool can_be_kept(std::string_view name) {
    return !name.empty() && is_plain_utf8(name) && name.find("${") == std::string_view::npos;
}

class Assigner {
public:
    Assigner(const std::vector<const FoundModel*>& models, const GivenByPath& given,
             const NamingOptions& options)
        : models_(models), given_(given), options_(options) {
        for (const auto& [name, who] : options.reserved) {
            taken_.insert(name);
            owners_.emplace(name, who);
        }
    }

    std::vector<NamedModel> run() {
        give_wanted_ids();
        keep_given_ids();
        give_new_ids();
        std::sort(named_.begin(), named_.end(),
                  [](const NamedModel& a, const NamedModel& b) { return a.id < b.id; });
        for (const NamedModel& model : named_) {
            owners_.emplace(model.id, model.id);
        }
        give_aliases();
        return std::move(named_);
    }

private:
    [[nodiscard]] const GivenNames* given_to(const FoundModel& model) const {
        const auto found = given_.find(model.path);
        return found == given_.end() ? nullptr : &found->second;
    }

    /// The id before anything is added to tell it from another.
    [[nodiscard]] std::string base_name(const FoundModel& model) const {
        if (const auto wanted = options_.wanted.find(model.path);
            wanted != options_.wanted.end() && can_be_kept(wanted->second)) {
            return wanted->second;
        }
        const FileNameParts& parts = model.file_name;
        std::string name;
        if (options_.naming == NamingRule::metadata) {
            name = plain_name(model.file.name);
        } else if (options_.naming == NamingRule::filename) {
            name = is_safe_alias(parts.stem) ? parts.stem : plain_name(parts.stem);
        }
        return name.empty() ? parts.name : name;
    }

    /// What the settings ask for comes first; of several files the first by path gets it.
    void give_wanted_ids() {
        for (const FoundModel* model : models_) {
            if (options_.wanted.contains(model->path) && take_id(*model, base_name(*model))) {
                kept_.insert(model->path);
            }
        }
    }

    void keep_given_ids() {
        for (const FoundModel* model : models_) {
            const GivenNames* given = kept_.contains(model->path) ? nullptr : given_to(*model);
            if (given == nullptr || !can_be_kept(given->id) || !taken_.insert(given->id).second) {
                continue;
            }
            named_.push_back({model, given->id, {}, {}});
            owner_of_id_.emplace(given->id, model);
            kept_.insert(model->path);
        }
        for (const NamedModel& model : named_) {
            if (const GivenNames* given = given_to(*model.found)) {
                taken_.insert(given->aliases.begin(), given->aliases.end());
            }
        }
    }

    void give_new_ids() {
        std::map<std::string, std::vector<const FoundModel*>> by_name;
        for (const FoundModel* model : models_) {
            if (!kept_.contains(model->path)) {
                by_name[base_name(*model)].push_back(model);
            }
        }
        // Plain names first, so that no suffix of one model takes the plain name of another.
        for (auto& [name, group] : by_name) {
            std::sort(group.begin(), group.end(), [](const FoundModel* a, const FoundModel* b) {
                return is_preferred(*a, *b);
            });
            if (take_id(*group.front(), name)) {
                group.erase(group.begin());
            }
        }
        for (const auto& [name, group] : by_name) {
            for (const FoundModel* model : group) {
                give_longer_id(*model);
            }
        }
    }

    bool take_id(const FoundModel& model, const std::string& id) {
        if (!taken_.insert(id).second) {
            return false;
        }
        named_.push_back({&model, id, {}, {}});
        owner_of_id_.emplace(id, &model);
        return true;
    }

    /// The plain name is taken: adds what tells this model from the one that has it.
    void give_longer_id(const FoundModel& model) {
        const std::string name = base_name(model);
        const std::string& version = model.file_name.version;
        const std::string quantization = model.quantization();
        const auto owner = owner_of_id_.find(name);
        const FoundModel* other = owner == owner_of_id_.end() ? nullptr : owner->second;
        std::vector<std::string> endings;
        if (other == nullptr || other->quantization() != quantization) {
            endings.push_back(quantization);
            endings.push_back(version.empty() ? "" : version + "-" + quantization);
        }
        if (other == nullptr || other->file_name.version != version) {
            endings.push_back(version);
        }
        endings.push_back(directory_name(model.path));
        for (const std::string& ending : endings) {
            if (!ending.empty() && take_id(model, name + "-" + ending)) {
                return;
            }
        }
        for (std::size_t& number = next_number_.try_emplace(name, 2).first->second;; ++number) {
            if (take_id(model, fmt::format("{}-{}", name, number))) {
                return;
            }
        }
    }

    void give_aliases() {
        for (NamedModel& model : named_) {  // what was given comes before what is wished for
            if (kept_.contains(model.found->path)) {
                const GivenNames* given = given_to(*model.found);
                for (const std::string& alias : given ? given->aliases : no_names_) {
                    if (can_be_kept(alias) && !is_switched_off(alias)) {
                        owners_.emplace(alias, model.id);
                    }
                }
            }
        }
        std::map<std::string, std::vector<NamedAlias>> special;  // by id
        for (const AliasRule& rule : options_.alias_rules) {
            give_special_alias(
                rule.alias, "the largest that fits " + escaped(rule.pattern, 200), true, special,
                [&](const FoundModel& model) { return matches_file(rule.pattern, model.path); });
        }
        for (const OpenAiRule& rule : openai_rules) {
            if (options_.openai_aliases) {
                give_special_alias(std::string(rule.alias), std::string(rule.why), rule.largest,
                                   special, rule.applies);
            }
        }
        for (NamedModel& model : named_) {
            model.aliases = std::move(special[model.id]);
            give_own_aliases(model);
        }
    }

    [[nodiscard]] bool is_switched_off(const std::string& alias) const {
        return !options_.openai_aliases &&
               std::any_of(openai_rules.begin(), openai_rules.end(),
                           [&](const OpenAiRule& rule) { return rule.alias == alias; });
    }

    /// An alias that goes to one text model of those that fit, the largest or the smallest.
    template <class Fits>
    void give_special_alias(const std::string& alias, std::string why, bool largest,
                            std::map<std::string, std::vector<NamedAlias>>& given,
                            const Fits& fits) {
        const NamedModel* best = nullptr;
        for (const NamedModel& model : named_) {  // in the order of ids: the first wins a tie
            const ModelRole role = model.found->file.role;
            if ((role != ModelRole::chat && role != ModelRole::base) || !fits(*model.found)) {
                continue;
            }
            const double size = model.found->billions();
            if (best == nullptr ||
                (largest ? size > best->found->billions() : size < best->found->billions())) {
                best = &model;
            }
        }
        if (best != nullptr && can_be_kept(alias)) {
            owners_.emplace(alias, best->id);
        }
        const auto owner = owners_.find(alias);
        if (owner == owners_.end() || owner->second == alias) {
            return;  // nobody is fit for it, or a model bears it as its own name
        }
        if (best == nullptr || best->id != owner->second) {
            why = "kept from before; " +
                  (best == nullptr ? "no model is fit for it now" : why + " is now " + best->id);
        }
        given[owner->second].push_back({alias, std::move(why)});
    }

    void give_own_aliases(NamedModel& model) {
        const FileNameParts& parts = model.found->file_name;
        const std::string name = base_name(*model.found);
        if (model.id != name) {
            note_owner(model, name, "The plain name");
        }
        if (name != parts.name) {
            give_alias(model, parts.name, "the documented name");
        }
        give_alias(model, parts.readable, "the same, easier to read");
        if (is_safe_alias(parts.stem)) {
            give_alias(model, parts.stem, "the file's name");
        }
        if (const GivenNames* given = given_to(*model.found);
            given != nullptr && kept_.contains(model.found->path)) {
            for (const std::string& alias : given->aliases) {
                if (can_be_kept(alias) && !is_switched_off(alias)) {
                    give_alias(model, alias, "kept from before");
                }
            }
        }
    }

    void give_alias(NamedModel& model, const std::string& alias, std::string why) {
        const auto [owner, is_new] = owners_.emplace(alias, model.id);
        if (owner->second != model.id) {
            note_owner(model, alias, "The alias");
            return;
        }
        const bool listed =
            alias == model.id ||
            std::any_of(model.aliases.begin(), model.aliases.end(),
                        [&](const NamedAlias& other) { return other.name == alias; });
        if (!listed) {
            model.aliases.push_back({alias, std::move(why)});
        }
    }

    /// Says who has a name that this model would have, once.
    void note_owner(NamedModel& model, const std::string& name, std::string_view what) const {
        const auto owner = owners_.find(name);
        if (owner == owners_.end() || owner->second == model.id) {
            return;
        }
        std::string note =
            name == owner->second
                ? fmt::format("{} {} belongs to another model.", what, escaped(name, 200))
                : fmt::format("{} {} belongs to {}.", what, escaped(name, 200),
                              escaped(owner->second, 200));
        const std::string about = escaped(name, 200) + " belongs";
        const bool told = std::any_of(
            model.notes.begin(), model.notes.end(),
            [&](const std::string& other) { return other.find(about) != std::string::npos; });
        if (!told) {
            model.notes.push_back(std::move(note));
        }
    }

    const std::vector<const FoundModel*>& models_;
    const GivenByPath& given_;
    const NamingOptions& options_;
    const std::vector<std::string> no_names_;
    std::vector<NamedModel> named_;
    std::set<std::string> taken_;  ///< ids, and aliases from before: no new id takes one
    std::set<std::string> kept_;   ///< paths of models that keep their id
    std::map<std::string, const FoundModel*> owner_of_id_;
    std::map<std::string, std::size_t> next_number_;  ///< by plain name
    std::map<std::string, std::string> owners_;       ///< every name and alias, and whose it is
};

}  // namespace

std::string model_file_of(const ModelConfig& model) {
    for (std::size_t i = 1; i + 1 < model.argv.size(); ++i) {
        if (model.argv[i] == "-m" || model.argv[i] == "--model") {
            return model.argv[i + 1];
        }
    }
    return {};
}

GivenByPath given_names(const Config& config) {
    GivenByPath given;
    for (const ModelConfig& model : config.models) {
        if (const std::string path = model_file_of(model); !path.empty()) {
            given.emplace(path, GivenNames{model.id.str(), model.aliases});
        }
    }
    return given;
}

std::vector<NamedModel> assign_names(const std::vector<const FoundModel*>& models,
                                     const GivenByPath& given, const NamingOptions& options) {
    return Assigner(models, given, options).run();
}

}  // namespace corral
