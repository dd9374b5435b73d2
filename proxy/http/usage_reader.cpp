#include "proxy/http/usage_reader.hpp"

#include "proxy/http/byte_search.hpp"
#include "proxy/http/http_chars.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <span>
#include <system_error>

namespace corral::http {
namespace {

/// The largest number that is taken: beyond it doubles are no longer exact, and JSON's readers
/// disagree.
constexpr double number_max = 9'007'199'254'740'992.0;

constexpr chars::Table scalar_chars = chars::table_of("+-.");

constexpr auto ends_string = [](auto c) { return (c == '"') | (c == '\\'); };

/// A quote, brace or bracket: `|` makes braces of brackets.
constexpr auto matters_when_skipping = [](auto c) {
    return (c == '"') | ((c | 0x20) == '{') | ((c | 0x20) == '}');
};

constexpr bool is_space(char c) noexcept {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

double number_of(std::string_view text) noexcept {
    double value = UsageNumbers::absent;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool is_number = error == std::errc() && end == text.data() + text.size();
    return is_number && value >= 0 && value <= number_max ? value : UsageNumbers::absent;
}

bool is_given(double value) noexcept {
    return value != UsageNumbers::absent;
}

void merge_positive(double& into, double later) noexcept {
    if (later > 0 || (is_given(later) && !is_given(into))) {
        into = later;
    }
}

double first_given(std::initializer_list<double> values) noexcept {
    const auto* const found = std::find_if(values.begin(), values.end(), is_given);
    return found == values.end() ? UsageNumbers::absent : *found;
}

UsageCounts counts_of(const UsageNumbers& numbers) noexcept {
    using F = UsageField;
    return {first_given({numbers[F::prompt_tokens], numbers[F::input_tokens]}),
            first_given({numbers[F::completion_tokens], numbers[F::output_tokens]}),
            first_given({numbers[F::cache_read_input_tokens], numbers[F::input_cached_tokens],
                         numbers[F::prompt_cached_tokens]})};
}

}  // namespace

void UsageNumbers::take(const UsageNumbers& other, UsageField from, UsageField to) noexcept {
    for (auto i = static_cast<std::size_t>(from); i < static_cast<std::size_t>(to); ++i) {
        values_[i] = other.values_[i];
    }
}

void UsageCounts::merge(const UsageCounts& later) noexcept {
    merge_positive(input, later.input);
    merge_positive(output, later.output);
    cached = is_given(later.cached) ? later.cached : cached;
}

/// A key of an object that is looked into, and what it is for.
struct UsageReader::Key {
    std::string_view name;
    Node child = Node::none;
    UsageField field = UsageField::none;
};

struct UsageReader::Keys {
    using F = UsageField;
    static constexpr Key answer[] = {
        {"usage", Node::usage}, {"timings", Node::timings}, {"metrics", Node::metrics}};
    static constexpr Key event[] = {{"usage", Node::usage},
                                    {"timings", Node::timings},
                                    {"metrics", Node::metrics},
                                    {"response", Node::wrapper},
                                    {"message", Node::wrapper}};
    static constexpr Key element[] = {{"timings", Node::timings}};
    static constexpr Key wrapper[] = {{"usage", Node::usage}};
    static constexpr Key usage[] = {
        {"prompt_tokens", Node::none, F::prompt_tokens},
        {"input_tokens", Node::none, F::input_tokens},
        {"completion_tokens", Node::none, F::completion_tokens},
        {"output_tokens", Node::none, F::output_tokens},
        {"cache_read_input_tokens", Node::none, F::cache_read_input_tokens},
        {"input_tokens_details", Node::input_details},
        {"prompt_tokens_details", Node::prompt_details}};
    static constexpr Key input_details[] = {{"cached_tokens", Node::none, F::input_cached_tokens}};
    static constexpr Key prompt_details[] = {
        {"cached_tokens", Node::none, F::prompt_cached_tokens}};
    static constexpr Key timings[] = {{"prompt_n", Node::none, F::prompt_n},
                                      {"predicted_n", Node::none, F::predicted_n},
                                      {"prompt_per_second", Node::none, F::prompt_per_second},
                                      {"predicted_per_second", Node::none, F::predicted_per_second},
                                      {"prompt_ms", Node::none, F::prompt_ms},
                                      {"predicted_ms", Node::none, F::predicted_ms},
                                      {"cache_n", Node::none, F::cache_n},
                                      {"draft_n", Node::none, F::draft_n},
                                      {"draft_n_accepted", Node::none, F::draft_n_accepted}};
    static constexpr Key metrics[] = {
        {"time_to_first_token_ms", Node::none, F::time_to_first_token_ms},
        {"mean_itl_ms", Node::none, F::mean_itl_ms},
        {"speculative_decoding", Node::speculation}};
    static constexpr Key speculation[] = {
        {"num_draft_tokens", Node::none, F::num_draft_tokens},
        {"num_accepted_draft_tokens", Node::none, F::num_accepted_draft_tokens}};

    static std::span<const Key> of(Node node) noexcept {
        switch (node) {
            case Node::answer:
                return answer;
            case Node::event:
                return event;
            case Node::element:
                return element;
            case Node::wrapper:
                return wrapper;
            case Node::usage:
                return usage;
            case Node::input_details:
                return input_details;
            case Node::prompt_details:
                return prompt_details;
            case Node::timings:
                return timings;
            case Node::metrics:
                return metrics;
            case Node::speculation:
                return speculation;
            default:
                return {};
        }
    }
};

void UsageReader::feed(std::string_view bytes) noexcept {
    while (!bytes.empty()) {
        switch (at_) {
            case At::in_key:
            case At::in_string:
            case At::in_skipped_string:
                take_string(bytes);
                break;
            case At::in_scalar:
                take_scalar(bytes);
                break;
            case At::in_skipped:
                take_skipped(bytes);
                break;
            case At::given_up:
                return;
            default:
                if (!is_space(bytes.front())) {
                    step(bytes.front());
                }
                bytes.remove_prefix(1);
        }
    }
}

void UsageReader::step(char c) noexcept {
    if (at_ == At::value || (at_ == At::first_element && c != ']')) {
        return begin_value(c);
    }
    const bool in_array = depth_ > 0 && inside() == Node::elements;
    if (at_ == At::document && c == '{') {
        enter(document_ == Document::event ? Node::event : Node::answer);
    } else if (at_ == At::document && c == '[' && document_ == Document::answer) {
        enter(Node::elements);
    } else if ((at_ == At::key || at_ == At::first_key) && c == '"') {
        token_size_ = 0;
        at_ = At::in_key;
    } else if (at_ == At::colon && c == ':') {
        at_ = At::value;
    } else if (at_ == At::after_value && c == ',') {
        at_ = in_array ? At::value : At::key;
    } else if ((c == '}' && !in_array && (at_ == At::first_key || at_ == At::after_value)) ||
               (c == ']' && in_array && (at_ == At::first_element || at_ == At::after_value))) {
        leave();
    } else {
        at_ = At::given_up;
    }
}

void UsageReader::begin_value(char c) noexcept {
    if (inside() == Node::elements) {  // only the last element counts
        child_ = Node::element;
        field_ = UsageField::none;
        has_timings_ = false;
        numbers_.clear(UsageField::prompt_n, UsageField::time_to_first_token_ms);
    }
    if (c == '{') {
        return begin_object();
    }
    if (c == '[') {
        return skip();
    }
    if (c == '"') {
        at_ = At::in_string;
    } else if (scalar_chars[static_cast<unsigned char>(c)]) {
        token_size_ = 0;
        keep({&c, 1});
        at_ = At::in_scalar;
    } else {
        at_ = At::given_up;
    }
}

void UsageReader::skip() noexcept {
    skipped_depth_ = 1;
    at_ = At::in_skipped;
}

void UsageReader::begin_object() noexcept {
    if (child_ == Node::none) {
        return skip();
    }
    if (child_ == Node::usage) {
        numbers_.clear(UsageField::prompt_tokens, UsageField::prompt_n);
    } else if (child_ == Node::timings) {
        has_timings_ = true;
        numbers_.clear(UsageField::prompt_n, UsageField::time_to_first_token_ms);
    } else if (child_ == Node::metrics) {
        has_metrics_ = true;
        numbers_.clear(UsageField::time_to_first_token_ms, UsageField::none);
    }
    enter(child_);
}

void UsageReader::enter(Node node) noexcept {
    nodes_[depth_++] = node;
    at_ = node == Node::elements ? At::first_element : At::first_key;
}

void UsageReader::leave() noexcept {
    if (inside() == Node::usage) {
        counts_.merge(counts_of(numbers_));
    }
    at_ = --depth_ == 0 ? At::end : At::after_value;
}

void UsageReader::look_up_key() noexcept {
    const std::string_view name(token_.data(), std::min<std::size_t>(token_size_, token_.size()));
    child_ = Node::none;
    field_ = UsageField::none;
    at_ = At::colon;
    if (token_size_ > token_.size()) {
        return;
    }
    for (const Key& key : Keys::of(inside())) {
        if (key.name == name) {
            child_ = key.child;
            field_ = key.field;
            return;
        }
    }
}

void UsageReader::end_scalar() noexcept {
    at_ = At::after_value;
    if (field_ == UsageField::none || token_size_ > token_.size()) {
        return;
    }
    if (const auto value = number_of({token_.data(), token_size_}); is_given(value)) {
        numbers_.set(field_, value);
    }
}

void UsageReader::keep(std::string_view bytes) noexcept {
    if (token_size_ + bytes.size() > token_.size()) {
        token_size_ = token_bytes_max + 1;
        return;
    }
    std::memcpy(token_.data() + token_size_, bytes.data(), bytes.size());
    token_size_ = static_cast<std::uint8_t>(token_size_ + bytes.size());
}

void UsageReader::take_string(std::string_view& bytes) noexcept {
    if (escaped_) {
        escaped_ = false;
        bytes.remove_prefix(1);
        return;
    }
    const auto plain = find_byte(bytes, ends_string);
    if (at_ == At::in_key) {
        keep(bytes.substr(0, plain));
    }
    bytes.remove_prefix(plain);
    if (bytes.empty()) {
        return;
    }
    if (bytes.front() == '\\') {
        escaped_ = true;
        token_size_ = token_bytes_max + 1;  // no key that matters is written with an escape
    } else if (at_ == At::in_key) {
        look_up_key();
    } else {
        at_ = at_ == At::in_string ? At::after_value : At::in_skipped;
    }
    bytes.remove_prefix(1);
}

void UsageReader::take_scalar(std::string_view& bytes) noexcept {
    std::size_t size = 0;
    while (size < bytes.size() && scalar_chars[static_cast<unsigned char>(bytes[size])]) {
        ++size;
    }
    keep(bytes.substr(0, size));
    bytes.remove_prefix(size);
    if (!bytes.empty()) {
        end_scalar();
    }
}

void UsageReader::take_skipped(std::string_view& bytes) noexcept {
    bytes.remove_prefix(find_byte(bytes, matters_when_skipping));
    if (bytes.empty()) {
        return;
    }
    const char c = bytes.front();
    bytes.remove_prefix(1);
    if (c == '"') {
        at_ = At::in_skipped_string;
    } else if (c == '{' || c == '[') {
        ++skipped_depth_;
    } else if (--skipped_depth_ == 0) {
        at_ = At::after_value;
    }
}

}  // namespace corral::http
