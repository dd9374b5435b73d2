// Sentences for people; see the header.
#include "supervisor/fleet/failure_text.hpp"

#include "core/log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace corral {
namespace {

constexpr std::string_view hidden = "[hidden]";
constexpr std::size_t secret_bytes_min = 4;  // shorter values would hide ordinary words

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

bool sounds_secret(std::string_view name) {
    constexpr std::array<std::string_view, 5> words{"key", "token", "secret", "passw",
                                                    "credential"};
    const std::string small = lower(name);
    return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
        return small.find(word) != std::string::npos;
    });
}

std::string name_of(const ModelId& model) {
    return "\"" + log::clean(model.str()) + "\"";
}

std::string milliseconds(Duration time) {
    const auto ms = time.count();
    return ms < 10'000 ? fmt::format("{} ms", ms) : fmt::format("{:.1f} s", double(ms) / 1000.0);
}

std::string last_output(std::string_view output) {
    return output.empty() ? "It printed nothing.\n" : fmt::format("Last output:\n{}\n", output);
}

/// "it ran out of memory: exit status 1".
std::string what_happened(const Failure& failure) {
    const std::string_view sentence = failure_sentence(failure.kind);
    return sentence.empty() ? failure.status : std::string(sentence) + ": " + failure.status;
}

}  // namespace

std::vector<std::string> secrets_of(const ModelConfig& model,
                                    const std::vector<std::string>& api_keys) {
    std::vector<std::string> out;
    const auto add = [&out](std::string_view value) {
        if (value.size() >= secret_bytes_min) {
            out.emplace_back(value);
        }
    };
    std::for_each(api_keys.begin(), api_keys.end(), add);
    for (const std::string& entry : model.env) {
        const auto equals = entry.find('=');
        if (equals != std::string::npos && sounds_secret(entry.substr(0, equals))) {
            add(std::string_view(entry).substr(equals + 1));
        }
    }
    for (std::size_t i = 0; i < model.argv.size(); ++i) {
        const std::string_view word = model.argv[i];
        const auto equals = word.find('=');
        if (!word.starts_with('-') || !sounds_secret(word.substr(0, equals))) {
            continue;
        }
        if (equals != std::string_view::npos) {
            add(word.substr(equals + 1));
        } else if (i + 1 < model.argv.size() && !model.argv[i + 1].starts_with('-')) {
            add(model.argv[i + 1]);
        }
    }
    // The longest first, so that one which contains another is hidden whole.
    std::sort(out.begin(), out.end(),
              [](const auto& a, const auto& b) { return a.size() > b.size(); });
    return out;
}

std::string hide_secrets(std::string_view text, const std::vector<std::string>& secrets) {
    std::string out;
    while (!text.empty()) {
        const auto found = std::find_if(secrets.begin(), secrets.end(), [&](const auto& secret) {
            return !secret.empty() && text.starts_with(secret);
        });
        if (found != secrets.end()) {
            out += hidden;
            text.remove_prefix(found->size());
        } else {
            out += text.front();
            text.remove_prefix(1);
        }
    }
    return out;
}

std::shared_ptr<const Failure> failure_of(const FailureFacts& facts) {
    Failure out;
    out.kind = classify(facts);
    out.status = facts.status ? facts.status->describe() : std::string();
    out.last_lines = facts.at == FailedAt::launch ? std::string() : std::string(facts.output);
    out.hint = failure_hint(out.kind, facts);
    return std::make_shared<const Failure>(std::move(out));
}

std::string died_early_text(const ModelId& model, const Failure& failure, Duration after) {
    return fmt::format("model {} could not be started: {} after {}. {}What to do: {}",
                       name_of(model), what_happened(failure), milliseconds(after),
                       last_output(failure.last_lines), failure.hint);
}

std::string not_ready_text(const ModelId& model, const Failure& failure, Duration after,
                           std::string_view asked) {
    return fmt::format(
        "model {} was not ready after {}: {} did not answer as a ready server does. {}What to do: "
        "{}",
        name_of(model), milliseconds(after), asked, last_output(failure.last_lines), failure.hint);
}

std::string stalled_text(const ModelId& model, const Failure& failure, Duration after,
                         Duration silent_for) {
    return fmt::format(
        "model {} was not ready after {}: for the last {} it printed nothing and read no file "
        "(startStallTimeout). {}What to do: {}",
        name_of(model), milliseconds(after), milliseconds(silent_for),
        last_output(failure.last_lines), failure.hint);
}

std::string not_launched_text(const ModelId& model, const Failure& failure, std::string_view why) {
    return fmt::format("model {} could not be started: {}. What to do: {}", name_of(model), why,
                       failure.hint);
}

std::string ending_text(const Failure& failure) {
    return what_happened(failure) + (failure.last_lines.empty()
                                         ? "; it printed nothing"
                                         : "; last output:\n" + failure.last_lines);
}

}  // namespace corral
