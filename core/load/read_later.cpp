// Keys without effect in this version: what llama-swap refuses in them is refused here, too, so
// that a file that loads here also loads there.
#include "core/load/loading.hpp"
#include "core/load/proxy_url.hpp"
#include "core/quantity.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace corral::load {
namespace {

/// A text at this place, without macros being reported again; empty when it is none.
std::string plain_text(const Node* node) {
    return node != nullptr && node->is_scalar() ? node->text : std::string();
}

void check_log_to_stdout(Loading& loading) {
    constexpr std::array<std::string_view, 4> valid{"proxy", "upstream", "both", "none"};
    const Node* node = loading.root.find("logToStdout");
    if (node != nullptr && node->is_scalar() &&
        std::find(valid.begin(), valid.end(), node->text) == valid.end()) {
        loading.report.error(node->mark, "logToStdout must be one of: proxy, upstream, both, none");
    }
}

void check_performance(Loading& loading) {
    constexpr std::chrono::seconds least{5};
    const Node* node = node_at(loading.root, {"performance", "every"});
    if (node == nullptr || !node->is_scalar()) {
        return;
    }
    const auto every = parse_duration(node->text);
    if (!every || node->text == "0") {
        loading.report.error(node->mark,
                             "performance.every: cannot unmarshal " +
                                 std::string(tag_name(load::resolve(*node))) + " `" +
                                 node->text.substr(0, 10) + "` into time.Duration",
                             "a duration such as 5s or 1m");
    } else if (*every < least) {
        loading.report.error(node->mark,
                             "performance: every must be at least 5s, got " + node->text);
    }
}

/// A shallow look: parentheses, brackets, repetition without anything to repeat. llama-swap uses
/// Go's regexp, which is RE2.
std::string regex_mistake(std::string_view pattern) {
    int open = 0;
    bool in_class = false;
    bool repeatable = false;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        const char c = pattern[i];
        if (c == '\\') {
            if (++i == pattern.size()) {
                return "trailing backslash at end of expression";
            }
            repeatable = true;
        } else if (in_class) {
            in_class = c != ']';
            repeatable = true;
        } else if (c == '[') {
            in_class = true;
            i += i + 1 < pattern.size() && pattern[i + 1] == '^' ? 1U : 0U;
            i += i + 1 < pattern.size() && pattern[i + 1] == ']' ? 1U : 0U;
        } else if (c == '(') {
            ++open;
            repeatable = i + 1 < pattern.size() && pattern[i + 1] == '?';
        } else if (c == ')') {
            if (--open < 0) {
                return "unexpected )";
            }
            repeatable = true;
        } else if ((c == '*' || c == '+' || c == '?') && !repeatable) {
            return "missing argument to repetition operator";
        } else {
            repeatable = c != '|';
        }
    }
    return in_class ? "missing closing ]" : open > 0 ? "missing closing )" : "";
}

void check_ignore_paths(Loading& loading) {
    const Node* paths = node_at(loading.root, {"upstream", "ignorePaths"});
    for (const Node* path : paths != nullptr ? paths->items : std::vector<const Node*>()) {
        if (const auto mistake = regex_mistake(path->text); !mistake.empty()) {
            loading.report.error(path->mark, "upstream.ignorePaths: invalid regular expression \"" +
                                                 path->text + "\": " + mistake);
        }
    }
}

void check_store(Loading& loading) {
    const Node* store = loading.root.find("store");
    if (store != nullptr && store->is_map() && plain_text(store->find("path")).empty()) {
        loading.report.error(store->mark, "store.path must not be empty");
    }
}

void check_peers(Loading& loading) {
    const Node* peers = loading.root.find("peers");
    if (peers == nullptr || !peers->is_map()) {
        return;
    }
    for (const auto& [name, peer] : peers->entries) {
        if (!peer->is_map()) {
            continue;
        }
        const std::string prefix = "peers." + name->text + ": ";
        const std::string proxy = plain_text(peer->find("proxy"));
        if (proxy.empty()) {
            loading.report.error(name->mark, prefix + "proxy is required");
        } else if (const auto refusal = url_refusal(proxy); !refusal.empty()) {
            loading.report.error(name->mark,
                                 prefix + "invalid peer proxy URL (" + proxy + "): " + refusal);
        }
        const Node* models = peer->find("models");
        if (models == nullptr || models->items.empty()) {
            loading.report.error(name->mark, prefix + "peer models can not be empty");
        }
    }
}

void check_profiles(Loading& loading) {
    const Node* profiles = loading.root.find("profiles");
    if (profiles == nullptr || !profiles->is_map()) {
        return;
    }
    for (const auto& [name, profile] : profiles->entries) {
        if (name->text.empty()) {
            loading.report.error(name->mark, "profiles: profile names cannot be empty");
        }
        const Node* pins = profile->is_map() ? profile->find("pins") : nullptr;
        if (profile->is_map() && (pins == nullptr || pins->entries.empty())) {
            loading.report.error(
                name->mark, "profiles." + name->text + ".pins must contain at least one entry");
        }
    }
}

void check_selectors(Loading& loading) {
    constexpr std::array<std::string_view, 3> strategies{"warm", "pin", "spillover"};
    const Node* selectors = loading.root.find("selectors");
    if (selectors == nullptr || !selectors->is_map()) {
        return;
    }
    for (const auto& [name, selector] : selectors->entries) {
        const std::string prefix = "selectors." + name->text;
        if (name->text.empty()) {
            loading.report.error(name->mark, "selectors: selector names cannot be empty");
        } else if (!loading.resolve(name->text).empty()) {
            loading.report.error(
                name->mark, prefix + ": name conflicts with model ID/alias \"" + name->text + "\"");
        }
        if (!selector->is_map()) {
            continue;
        }
        const std::string strategy = plain_text(selector->find("strategy"));
        if (strategy.empty()) {
            loading.report.error(name->mark, prefix + ".strategy is required");
        } else if (std::find(strategies.begin(), strategies.end(), strategy) == strategies.end()) {
            loading.report.error(name->mark, prefix + ".strategy: unknown strategy \"" + strategy +
                                                 "\" (valid: warm, pin, spillover)");
        }
        const Node* targets = selector->find("targets");
        if (targets == nullptr || targets->items.empty()) {
            loading.report.error(name->mark, prefix + ".targets must contain at least one entry");
        }
    }
}

void check_capabilities(Loading& loading) {
    constexpr std::array<std::string_view, 3> valid{"text", "audio", "image"};
    const Node* models = loading.root.find("models");
    for (const auto& [name, model] : models != nullptr ? models->entries : std::vector<Entry>()) {
        for (const std::string_view side : {"in", "out"}) {
            const Node* list = node_at(*model, {"capabilities", side});
            for (const Node* item : list != nullptr ? list->items : std::vector<const Node*>()) {
                if (!find_macro(item->text, 0) &&
                    std::find(valid.begin(), valid.end(), item->text) == valid.end()) {
                    loading.report.error(item->mark, "model " + name->text + ": capabilities." +
                                                         std::string(side) +
                                                         ": invalid modality \"" + item->text +
                                                         "\", must be one of: text, audio, image");
                }
            }
        }
        const Node* context = node_at(*model, {"capabilities", "context"});
        if (context != nullptr && to_integer(load::resolve(*context)).value_or(0) < 0) {
            loading.report.error(context->mark,
                                 "model " + name->text + ": capabilities.context: must be >= 0");
        }
    }
}

void check_scheduler(Loading& loading) {
    const Node* use = node_at(loading.root, {"routing", "scheduler", "use"});
    const std::string name = plain_text(use);
    if (!name.empty() && name != "fifo") {
        loading.report.error(
            use->mark, "routing.scheduler.use: unknown scheduler \"" + name + "\" (valid: fifo)");
    }
    const Node* priority =
        node_at(loading.root, {"routing", "scheduler", "settings", "fifo", "priority"});
    for (const auto& [model, rank] :
         priority != nullptr ? priority->entries : std::vector<Entry>()) {
        if (loading.resolve(model->text).empty()) {
            loading.report.error(model->mark,
                                 "routing.scheduler.settings.fifo.priority references unknown "
                                 "model \"" +
                                     model->text + "\"");
        }
        if (!rank->is_null() && !to_integer(load::resolve(*rank)) && !find_macro(rank->text, 0)) {
            Reader reader = loading.reader();
            reader.type_error(*rank, "routing.scheduler.settings.fifo.priority", "int");
        }
    }
}

}  // namespace

void check_later_keys(Loading& loading) {
    check_log_to_stdout(loading);
    check_performance(loading);
    check_ignore_paths(loading);
    check_store(loading);
    check_peers(loading);
    check_profiles(loading);
    check_selectors(loading);
    check_capabilities(loading);
    check_scheduler(loading);
}

}  // namespace corral::load
