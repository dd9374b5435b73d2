#include "proxy/http/multipart_field.hpp"

#include "proxy/http/fields.hpp"
#include "proxy/http/http_chars.hpp"
#include "proxy/http/target.hpp"

#include <algorithm>
#include <utility>

namespace corral::http {
namespace {

constexpr std::size_t boundary_bytes_max = 70;  // RFC 2046 §5.1.1
constexpr std::size_t padding_bytes_max = 256;
constexpr std::size_t key_bytes_max = 15;  // "model", all of it percent-encoded
/// "model=" and its value, all of it percent-encoded.
constexpr std::size_t pair_bytes_max = 3 * (6 + ModelField::model_bytes_max);

constexpr chars::Table boundary_chars = chars::table_of("'()+_,-./:=? ");

/// Takes `name=value` or `name="quoted"` off a list of parameters that begins with ";".
/// nullopt at its end; an empty name when it is malformed.
struct Parameter {
    std::string_view name;
    std::string value;
};

std::optional<std::string> take_quoted(std::string_view& text) {
    std::string out;
    text.remove_prefix(1);
    while (!text.empty() && text.front() != '"') {
        if (text.front() == '\\' && text.size() > 1) {
            text.remove_prefix(1);
        }
        out += text.front();
        text.remove_prefix(1);
    }
    if (text.empty()) {
        return std::nullopt;
    }
    text.remove_prefix(1);
    return out;
}

std::optional<Parameter> next_parameter(std::string_view& text) {
    constexpr auto skip = [](std::string_view& from) {
        from.remove_prefix(std::min(from.find_first_not_of(" \t"), from.size()));
    };
    skip(text);
    if (text.empty() || text == ";") {
        return std::nullopt;
    }
    if (text.front() != ';') {
        return Parameter{};
    }
    text.remove_prefix(1);
    skip(text);
    const auto equals = text.find('=');
    const auto name = text.substr(0, equals);
    if (equals == std::string_view::npos || !chars::is_token(name)) {
        return Parameter{};
    }
    text.remove_prefix(equals + 1);
    if (text.starts_with('"')) {
        auto value = take_quoted(text);
        return value ? Parameter{name, *std::move(value)} : Parameter{};
    }
    const auto end = std::min(text.find_first_of("; \t"), text.size());
    const auto value = text.substr(0, end);
    text.remove_prefix(end);
    return Parameter{name, std::string(value)};
}

enum class Part : std::uint8_t { other, model, malformed };

/// What a part's Content-Disposition says: is it the value called "model"? (RFC 7578 §4.2)
Part read_disposition(std::string_view text) {
    const auto semicolon = std::min(text.find(';'), text.size());
    if (!equals_no_case(chars::trim(text.substr(0, semicolon)), "form-data")) {
        return Part::other;
    }
    text.remove_prefix(semicolon);
    std::optional<std::string> name;
    bool is_file = false;
    while (auto parameter = next_parameter(text)) {
        if (parameter->name.empty()) {
            return Part::malformed;
        }
        if (equals_no_case(parameter->name, "name")) {
            if (name) {
                return Part::malformed;
            }
            name = std::move(parameter->value);
        }
        is_file = is_file || equals_no_case(parameter->name, "filename") ||
                  equals_no_case(parameter->name, "filename*");
    }
    return name == "model" && !is_file ? Part::model : Part::other;
}

Error bad_form(std::string_view reason, std::uint64_t offset) {
    return {Errc::bad_request, Blame::client,
            "the form is malformed: " + std::string(reason) + " (at byte " +
                std::to_string(offset) + ")"};
}

constexpr std::string_view twice = "the field `model` is given more than once";
constexpr std::string_view too_long = "the model's name is longer than 4096 bytes";

}  // namespace

std::optional<std::string> multipart_boundary(std::string_view content_type) {
    const auto semicolon = std::min(content_type.find(';'), content_type.size());
    if (!equals_no_case(chars::trim(content_type.substr(0, semicolon)), "multipart/form-data")) {
        return std::nullopt;
    }
    content_type.remove_prefix(semicolon);
    std::optional<std::string> out;
    while (auto parameter = next_parameter(content_type)) {
        if (parameter->name.empty()) {
            return std::nullopt;
        }
        if (equals_no_case(parameter->name, "boundary")) {
            if (out) {
                return std::nullopt;
            }
            out = std::move(parameter->value);
        }
    }
    const bool valid = out && !out->empty() && out->size() <= boundary_bytes_max &&
                       chars::all_of(*out, boundary_chars) && out->back() != ' ';
    return valid ? out : std::nullopt;
}

MultipartModel::MultipartModel(std::string_view boundary) : delimiter_("\r\n--") {
    delimiter_ += boundary;
}

Verdict MultipartModel::feed(std::string_view bytes) {
    while (!bytes.empty() && reason_.empty()) {
        take(bytes);
    }
    return verdict();
}

Verdict MultipartModel::finish() {
    if (reason_.empty() && at_ != At::end) {
        fail(at_ == At::preamble ? "the boundary of its Content-Type is nowhere in it"
                                 : "the closing boundary is missing");
    }
    return verdict();
}

Verdict MultipartModel::verdict() const noexcept {
    if (!reason_.empty()) {
        return Verdict::malformed;
    }
    if (at_ == At::end) {
        return Verdict::complete;
    }
    return has_model_ ? Verdict::found : Verdict::need_more;
}

std::string_view MultipartModel::model() const noexcept {
    return has_model_ ? std::string_view(model_) : std::string_view{};
}

Error MultipartModel::error() const {
    return bad_form(reason_, offset_);
}

void MultipartModel::advance(std::string_view& bytes, std::size_t n) noexcept {
    bytes.remove_prefix(n);
    offset_ += n;
}

void MultipartModel::take(std::string_view& bytes) {
    switch (at_) {
        case At::preamble:
        case At::part_body:
            take_body(bytes);
            break;
        case At::after_boundary:
            take_after_boundary(bytes);
            break;
        case At::part_head:
            take_part_head(bytes);
            break;
        case At::end:  // an epilogue is ignored (RFC 2046 §5.1.1)
            advance(bytes, bytes.size());
            break;
    }
}

void MultipartModel::begin_body(At at) noexcept {
    at_ = at;
    matched_ = 2;  // a boundary may stand at the very beginning
    at_line_start_ = true;
}

/// Looks for the delimiter. CR stands only at its beginning (boundaries have none), so a mismatch
/// can begin a new match with the byte at hand only.
void MultipartModel::take_body(std::string_view& bytes) {
    if (matched_ == 0) {
        const auto plain = std::min(bytes.find('\r'), bytes.size());
        keep(bytes.substr(0, plain));
        advance(bytes, plain);
        if (bytes.empty() || !reason_.empty()) {
            return;
        }
    }
    if (bytes.front() == delimiter_[matched_]) {
        advance(bytes, 1);
        if (++matched_ == delimiter_.size()) {
            end_body();
        }
        return;
    }
    // What was taken for a delimiter is content; the byte at hand is looked at again.
    keep(std::string_view(delimiter_).substr(0, matched_).substr(at_line_start_ ? 2 : 0));
    at_line_start_ = false;
    matched_ = 0;
}

void MultipartModel::keep(std::string_view bytes) {
    if (!keeping_) {
        return;
    }
    if (model_.size() + bytes.size() > ModelField::model_bytes_max) {
        return fail(too_long);
    }
    model_ += bytes;
}

void MultipartModel::end_body() {
    if (keeping_) {
        keeping_ = false;
        span_.second = offset_ - (delimiter_.size() - (at_line_start_ ? 2 : 0));
        has_model_ = !model_.empty();
    }
    at_ = At::after_boundary;
    line_.clear();
}

/// "--" closes the form; else only padding may stand before the line's end. A longer line whose
/// beginning is the boundary is a boundary to some parsers and content to others: refused.
void MultipartModel::take_after_boundary(std::string_view& bytes) {
    const char c = bytes.front();
    if (line_ == "-" && c == '-') {
        at_ = At::end;
    } else if (line_.ends_with('\r') && c == '\n') {
        if (++parts_ > parts_max) {
            return fail("it has more than 1000 parts");
        }
        at_ = At::part_head;
        line_.clear();
        disposition_.reset();
        head_bytes_ = 0;
    } else if (line_.size() >= padding_bytes_max || line_.ends_with('\r') || line_ == "-" ||
               (c != ' ' && c != '\t' && c != '\r' && !(c == '-' && line_.empty()))) {
        return fail("something follows a boundary on its line");
    } else {
        line_ += c;
    }
    advance(bytes, 1);
}

void MultipartModel::take_part_head(std::string_view& bytes) {
    const auto end = std::min(bytes.find('\n'), bytes.size());
    const auto piece = bytes.substr(0, end);
    head_bytes_ += piece.size();
    if (head_bytes_ > part_head_bytes_max) {
        return fail("the head of a part is too long");
    }
    line_ += piece;
    advance(bytes, piece.size());
    if (bytes.empty()) {
        return;
    }
    if (!line_.ends_with('\r')) {
        return fail("a line of a part's head does not end with CRLF");
    }
    advance(bytes, 1);
    line_.pop_back();
    end_head_line();
}

void MultipartModel::end_head_line() {
    constexpr std::string_view name = "content-disposition";
    if (line_.empty()) {
        return begin_part();
    }
    const auto colon = line_.find(':');
    const auto found = std::string_view(line_).substr(0, colon);
    if (colon == std::string::npos || !chars::is_token(found)) {
        return fail("a line of a part's head is malformed");
    }
    const auto value = chars::trim(std::string_view(line_).substr(colon + 1));
    if (!chars::all_of(value, chars::field_value)) {
        return fail("a line of a part's head has a control character");
    }
    if (equals_no_case(found, name)) {
        if (disposition_) {
            return fail("a part has two Content-Disposition lines");
        }
        disposition_ = std::string(value);
    }
    line_.clear();
}

void MultipartModel::begin_part() {
    const auto part = read_disposition(disposition_.value_or(""));
    if (part == Part::malformed) {
        return fail("a part's Content-Disposition is malformed");
    }
    begin_body(At::part_body);
    if (part != Part::model) {
        return;
    }
    if (saw_model_) {
        return fail(twice);
    }
    saw_model_ = keeping_ = true;
    span_ = {offset_, offset_};
}

Verdict UrlencodedModel::feed(std::string_view bytes) {
    while (!bytes.empty() && reason_.empty()) {
        if (skipping_) {
            const auto plain = std::min(bytes.find('&'), bytes.size());
            offset_ += plain;
            bytes.remove_prefix(plain);
            if (bytes.empty()) {
                break;
            }
        }
        take(bytes.front());
        ++offset_;
        bytes.remove_prefix(1);
    }
    return verdict(false);
}

Verdict UrlencodedModel::finish() {
    if (reason_.empty()) {
        end_pair();
    }
    return verdict(true);
}

Verdict UrlencodedModel::verdict(bool ended) const noexcept {
    if (!reason_.empty()) {
        return Verdict::malformed;
    }
    if (ended) {
        return Verdict::complete;
    }
    return has_model_ ? Verdict::found : Verdict::need_more;
}

void UrlencodedModel::take(char c) {
    if (c == '&') {
        return end_pair();
    }
    const bool first_equals = c == '=' && pair_.find('=') == std::string::npos;
    if (first_equals && percent_decode(pair_, true) != "model") {
        skipping_ = true;
        return;
    }
    if (c != '=' && pair_.size() == key_bytes_max && pair_.find('=') == std::string::npos) {
        skipping_ = true;
        return;
    }
    if (pair_.size() == pair_bytes_max) {
        reason_ = too_long;
        return;
    }
    pair_ += c;
}

void UrlencodedModel::end_pair() {
    const auto pair = std::exchange(pair_, {});
    if (std::exchange(skipping_, false) || pair.find('=') == std::string::npos) {
        return;
    }
    const auto value = percent_decode(std::string_view(pair).substr(pair.find('=') + 1), true);
    if (!value) {
        reason_ = "the value of `model` has a percent sign without two hexadecimal digits";
    } else if (saw_model_) {
        reason_ = twice;
    } else if (value->size() > ModelField::model_bytes_max) {
        reason_ = too_long;
    } else {
        saw_model_ = true;
        has_model_ = !value->empty();
        model_ = *value;
    }
}

std::string_view UrlencodedModel::model() const noexcept {
    return has_model_ ? std::string_view(model_) : std::string_view{};
}

Error UrlencodedModel::error() const {
    return bad_form(reason_, offset_);
}

}  // namespace corral::http
