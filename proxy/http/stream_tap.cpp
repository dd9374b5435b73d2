#include "proxy/http/stream_tap.hpp"

#include "proxy/http/fields.hpp"
#include "proxy/http/http_chars.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

namespace corral::http {
namespace {

using F = UsageField;

constexpr std::string_view data_prefix = "data:";

constexpr bool is_blank(char c) noexcept {
    return c == ' ' || c == '\t' || c == '\r';
}

/// Takes the spaces and then `c` off the text's end; false when it is not there.
bool take_back(std::string_view& text, char c) noexcept {
    while (!text.empty() && is_blank(text.back())) {
        text.remove_suffix(1);
    }
    if (text.empty() || text.back() != c) {
        return false;
    }
    text.remove_suffix(1);
    return true;
}

/// Whether the text ends with `"usage":` or one of its kind, so that the object behind it matters.
bool names_an_object_to_read(std::string_view text) noexcept {
    return take_back(text, ':') && take_back(text, '"') &&
           (text.ends_with("\"usage") || text.ends_with("\"timings") ||
            text.ends_with("\"metrics"));
}

std::size_t start_of_last_line(std::string_view text) noexcept {
    const auto found = text.rfind('\n');
    return found == std::string_view::npos ? 0 : found + 1;
}

/// Where the first line begins that must be read: one with an object that may matter, or one that
/// the next piece goes on with. Requires: the text begins with a line. Most bytes of most streams
/// are only looked at here, for the few braces they have.
std::size_t line_to_read(std::string_view text) noexcept {
    for (auto at = text.find('{'); at != std::string_view::npos; at = text.find('{', at + 1)) {
        if (names_an_object_to_read(text.substr(0, at))) {
            return start_of_last_line(text.substr(0, at));
        }
    }
    return start_of_last_line(text);
}

bool is_event_stream(std::string_view content_type) noexcept {
    const auto type = content_type.substr(0, content_type.find(';'));
    return equals_no_case(chars::trim(type), "text/event-stream");
}

std::optional<std::uint64_t> count_of(double value) noexcept {
    return value < 0 ? std::nullopt : std::optional(static_cast<std::uint64_t>(value));
}

std::optional<double> measure_of(double value) noexcept {
    return value < 0 || !std::isfinite(value) ? std::nullopt : std::optional(value);
}

}  // namespace

StreamTap::StreamTap(std::string_view content_type, std::string_view content_encoding) noexcept {
    if (!content_encoding.empty() && !equals_no_case(content_encoding, "identity")) {
        return;
    }
    mode_ = is_event_stream(content_type) ? Mode::events : Mode::document;
    if (mode_ == Mode::document) {
        reader_ = UsageReader(UsageReader::Document::answer);
    }
}

void StreamTap::feed(std::string_view payload) noexcept {
    if (mode_ == Mode::document) {
        reader_.feed(payload);
    }
    while (mode_ == Mode::events && !payload.empty()) {
        if (!line_begun_) {
            payload.remove_prefix(line_to_read(payload));
            if (payload.empty()) {
                return;
            }
        }
        const auto end = std::min(payload.find('\n'), payload.size());
        take_line(payload.substr(0, end));
        if (end == payload.size()) {
            return;
        }
        end_line();
        payload.remove_prefix(end + 1);
    }
}

void StreamTap::take_line(std::string_view bytes) noexcept {
    line_begun_ = true;
    while (!skipping_ && prefix_size_ < data_prefix.size() && !bytes.empty()) {
        skipping_ = bytes.front() != data_prefix[prefix_size_];
        ++prefix_size_;
        bytes.remove_prefix(1);
    }
    if (!skipping_) {
        reader_.feed(bytes);
        skipping_ = reader_.given_up();
    }
}

void StreamTap::end_line() noexcept {
    if (prefix_size_ > 0) {
        end_document();
        reader_ = UsageReader(UsageReader::Document::event);
    }
    line_begun_ = skipping_ = false;
    prefix_size_ = 0;
}

void StreamTap::end_document() noexcept {
    if (!reader_.finish()) {
        return;
    }
    counts_.merge(reader_.counts());
    if (reader_.has_timings()) {
        numbers_.take(reader_.numbers(), F::prompt_n, F::time_to_first_token_ms);
    }
    if (reader_.has_metrics()) {
        numbers_.take(reader_.numbers(), F::time_to_first_token_ms, F::none);
    }
}

Usage StreamTap::finish() noexcept {
    if (mode_ != Mode::off) {
        end_document();
    }
    mode_ = Mode::off;
    const auto given = [&](F field, double otherwise) {
        return numbers_[field] < 0 ? otherwise : numbers_[field];
    };
    const double input = given(F::prompt_n, counts_.input);
    const double cached = given(F::cache_n, counts_.cached);
    Usage out;
    out.input_tokens = count_of(input);
    out.output_tokens = count_of(given(F::predicted_n, counts_.output));
    out.cached_tokens = count_of(cached);
    out.prompt_ms = measure_of(numbers_[F::prompt_ms]);
    out.predicted_ms = measure_of(numbers_[F::predicted_ms]);
    out.prompt_per_second = measure_of(numbers_[F::prompt_per_second]);
    out.tokens_per_second = measure_of(numbers_[F::predicted_per_second]);
    if (numbers_[F::time_to_first_token_ms] > 0 && input >= 0) {
        const auto computed = std::max(input - std::max(cached, 0.0), 0.0);
        out.prompt_per_second = measure_of(computed / numbers_[F::time_to_first_token_ms] * 1000);
    }
    if (numbers_[F::mean_itl_ms] > 0) {
        out.tokens_per_second = measure_of(1000 / numbers_[F::mean_itl_ms]);
    }
    for (const auto& [drafted, accepted] :
         {std::pair(F::num_draft_tokens, F::num_accepted_draft_tokens),
          std::pair(F::draft_n, F::draft_n_accepted)}) {
        if (numbers_[drafted] >= 0 && numbers_[accepted] >= 0 && !out.draft_tokens) {
            out.draft_tokens = count_of(numbers_[drafted]);
            out.draft_accepted_tokens = count_of(numbers_[accepted]);
        }
    }
    return out;
}

}  // namespace corral::http
