#pragma once
// What an answer says about tokens and times, read a second way: the whole body is kept and each
// document in it parsed. The reference that StreamTap is held against; slow and simple on purpose.
// For unit tests and fuzz targets.

#include "proxy/http/usage.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace corral::http::reference {

using OrderedJson = nlohmann::ordered_json;
using Number = std::optional<double>;

inline Number number_at(const OrderedJson& object, std::string_view key) {
    const auto found = object.is_object() ? object.find(std::string(key)) : object.end();
    if (!object.is_object() || found == object.end() || !found->is_number()) {
        return std::nullopt;
    }
    const auto value = found->get<double>();
    return value >= 0 && value <= 9007199254740992.0 ? Number(value) : std::nullopt;
}

inline OrderedJson object_at(const OrderedJson& object, std::string_view key) {
    const auto found = object.is_object() ? object.find(std::string(key)) : object.end();
    return object.is_object() && found != object.end() && found->is_object() ? *found
                                                                             : OrderedJson();
}

inline Number first_of(std::initializer_list<Number> numbers) {
    for (const auto& number : numbers) {
        if (number) {
            return number;
        }
    }
    return std::nullopt;
}

/// All that was said so far.
struct Said {
    Number input, output, cached;
    OrderedJson timings, metrics;

    void usage(const OrderedJson& object) {
        positive(input, first_of({number_at(object, "prompt_tokens"),  //
                                  number_at(object, "input_tokens")}));
        positive(output, first_of({number_at(object, "completion_tokens"),
                                   number_at(object, "output_tokens")}));
        cached = first_of(
            {first_of({number_at(object, "cache_read_input_tokens"),
                       number_at(object_at(object, "input_tokens_details"), "cached_tokens"),
                       number_at(object_at(object, "prompt_tokens_details"), "cached_tokens")}),
             cached});
    }

    void document(const OrderedJson& json, bool is_event) {
        for (const auto& [key, value] : json.items()) {
            if (!value.is_object()) {
                continue;
            }
            if (key == "usage") {
                usage(value);
            } else if (is_event && (key == "response" || key == "message") &&
                       !object_at(value, "usage").is_null()) {
                usage(value["usage"]);
            } else if (key == "timings") {
                timings = value;
            } else if (key == "metrics") {
                metrics = value;
            }
        }
    }

    [[nodiscard]] Usage usage() const {
        const auto count = [](Number number) {
            return number ? std::optional(static_cast<std::uint64_t>(*number)) : std::nullopt;
        };
        const auto all_input = first_of({number_at(timings, "prompt_n"), input});
        const auto all_cached = first_of({number_at(timings, "cache_n"), cached});
        Usage out;
        out.input_tokens = count(all_input);
        out.output_tokens = count(first_of({number_at(timings, "predicted_n"), output}));
        out.cached_tokens = count(all_cached);
        out.prompt_per_second = number_at(timings, "prompt_per_second");
        out.tokens_per_second = number_at(timings, "predicted_per_second");
        out.prompt_ms = number_at(timings, "prompt_ms");
        out.predicted_ms = number_at(timings, "predicted_ms");
        const auto first_token = number_at(metrics, "time_to_first_token_ms").value_or(0);
        if (first_token > 0 && all_input) {
            const auto computed = std::max(*all_input - all_cached.value_or(0), 0.0);
            out.prompt_per_second = finite(computed / first_token * 1000);
        }
        const auto between = number_at(metrics, "mean_itl_ms").value_or(0);
        if (between > 0) {
            out.tokens_per_second = finite(1000 / between);
        }
        const auto speculation = object_at(metrics, "speculative_decoding");
        drafts(out, number_at(timings, "draft_n"), number_at(timings, "draft_n_accepted"));
        drafts(out, number_at(speculation, "num_draft_tokens"),
               number_at(speculation, "num_accepted_draft_tokens"));
        return out;
    }

private:
    static Number finite(double value) { return value < 1e308 ? Number(value) : std::nullopt; }
    static void positive(Number& into, Number later) {
        into = later.value_or(0) > 0 || !into ? later : into;
    }
    static void drafts(Usage& out, Number drafted, Number accepted) {
        if (drafted && accepted) {
            out.draft_tokens = static_cast<std::uint64_t>(*drafted);
            out.draft_accepted_tokens = static_cast<std::uint64_t>(*accepted);
        }
    }
};

/// The documents of a body: of an event stream what each `data:` line holds.
inline std::vector<std::string_view> documents(std::string_view body, bool events) {
    if (!events) {
        return {body};
    }
    std::vector<std::string_view> out;
    for (std::size_t at = 0; at < body.size();) {
        const auto line = body.substr(at, body.find('\n', at) - at);
        if (line.starts_with("data:")) {
            out.push_back(line.substr(5));
        }
        at += line.size() + 1;
    }
    return out;
}

inline Usage usage(std::string_view body, bool events) {
    Said said;
    for (const auto text : documents(body, events)) {
        const auto json = OrderedJson::parse(text, nullptr, false);
        if (json.is_object()) {
            said.document(json, events);
        } else if (json.is_array() && !json.empty() && !events) {
            said.timings = object_at(json.back(), "timings");
        }
    }
    return said.usage();
}

/// Whether both readings must agree: not where JSON's readers do not (a key twice), where the tap
/// does not look (a key written with \u, very long numbers), or where it does not check (what it
/// steps over, so that a broken document can say something).
class Comparable : public nlohmann::json_sax<nlohmann::json> {
public:
    static bool body(std::string_view body, bool events) {
        for (const auto text : documents(body, events)) {
            if (text.find("\\u") != std::string_view::npos ||
                text.find('\0') != std::string_view::npos || text.starts_with("\xef\xbb\xbf")) {
                return false;
            }
            Comparable reader;
            const bool is_json = nlohmann::json::sax_parse(text.begin(), text.end(), &reader);
            const auto first = text.find_first_not_of(" \t\r\n");
            const bool is_looked_into =
                first != std::string_view::npos && (text[first] == '{' || text[first] == '[');
            if (!reader.is_comparable_ || (is_looked_into && !is_json)) {
                return false;
            }
        }
        return true;
    }

    bool null() override { return true; }
    bool boolean(bool) override { return true; }
    bool number_integer(number_integer_t) override { return true; }
    bool number_unsigned(number_unsigned_t) override { return true; }
    bool number_float(number_float_t value, const string_t& text) override {
        const bool underflow = value == 0 && text.find_first_of("123456789") < text.find('e') &&
                               text.find_first_of("123456789") < text.find('E');
        is_comparable_ = is_comparable_ && text.size() <= 40 && !underflow;
        return true;
    }
    bool string(string_t&) override { return true; }
    bool binary(binary_t&) override { return true; }
    bool start_object(std::size_t) override {
        keys_.emplace_back();
        return true;
    }
    bool key(string_t& text) override {
        is_comparable_ = keys_.back().insert(text).second && is_comparable_;
        return true;
    }
    bool end_object() override {
        keys_.pop_back();
        return true;
    }
    bool start_array(std::size_t) override { return true; }
    bool end_array() override { return true; }
    bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
        return false;
    }

private:
    bool is_comparable_ = true;
    std::vector<std::set<std::string>> keys_;
};

}  // namespace corral::http::reference
