#include "proxy/http/error_excerpt.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace corral::http {
namespace {

/// Longer than any escape: `\ud83d\ude00`.
constexpr std::size_t escape_bytes = 12;

/// The text's first bytes, at most `bytes` of them, as whole UTF-8 characters.
std::string_view whole_characters(std::string_view text, std::size_t bytes) {
    if (text.size() <= bytes) {
        return text;
    }
    while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xc0U) == 0x80) {
        --bytes;
    }
    return text.substr(0, bytes);
}

/// Whether the text ends with the first half of a surrogate pair.
bool ends_with_half_a_pair(std::string_view text) {
    const auto last = text.substr(text.size() - std::min<std::size_t>(text.size(), 6));
    constexpr std::string_view high = "89abAB";
    return last.size() == 6 && last.starts_with("\\u") && (last[2] == 'd' || last[2] == 'D') &&
           high.find(last[3]) != std::string_view::npos;
}

/// The text without its last bytes, so that it ends neither inside a character nor an escape.
std::string_view without_ragged_end(std::string_view text) {
    text = whole_characters(text, text.size() - std::min(text.size(), escape_bytes));
    const auto tail = text.size() - std::min(text.size(), escape_bytes);
    text = text.substr(0, text.find('\\', tail));
    if (ends_with_half_a_pair(text)) {
        text.remove_suffix(6);
    }
    const auto slashes = text.size() - (text.find_last_not_of('\\') + 1);
    text.remove_suffix(slashes % 2);  // of a pair that would be parted
    return text;
}

std::string_view without_blanks(std::string_view text) {
    constexpr std::string_view blanks = " \t\r\n\f\v";
    const auto first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

/// Notes the strings that can be the message while a document is parsed, as far as it can be.
class Messages : public nlohmann::json_sax<nlohmann::json> {
public:
    [[nodiscard]] std::string best() const {
        const auto found = std::find_if(found_.begin(), found_.end(), [](const std::string& text) {
            return !without_blanks(text).empty();
        });
        return found == found_.end() ? std::string() : *found;
    }

    bool null() override { return true; }
    bool boolean(bool) override { return true; }
    bool number_integer(number_integer_t) override { return true; }
    bool number_unsigned(number_unsigned_t) override { return true; }
    bool number_float(number_float_t, const string_t&) override { return true; }
    bool binary(binary_t&) override { return true; }
    bool string(string_t& text) override {
        if (depth_ == 1) {
            note("error", 1, text);
            note("message", 2, text);
            note("detail", 3, text);
        } else if (depth_ == 2 && in_error_ && key_ == "message") {
            found_[0] = text;
        }
        return true;
    }
    bool start_object(std::size_t) override {
        in_error_ = depth_ == 1 ? key_ == "error" : in_error_;
        ++depth_;
        return true;
    }
    bool key(string_t& text) override {
        key_ = depth_ <= 2 ? text : "";
        return true;
    }
    bool end_object() override { return close(); }
    bool start_array(std::size_t) override {
        key_.clear();  // what an array holds has no key
        ++depth_;
        return true;
    }
    bool end_array() override { return close(); }
    bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
        return false;
    }

private:
    void note(std::string_view key, std::size_t rank, const std::string& text) {
        if (key_ == key) {
            found_[rank] = text;
        }
    }
    bool close() {
        --depth_;
        key_.clear();
        return true;
    }

    std::size_t depth_ = 0;
    bool in_error_ = false;
    std::string key_;
    std::array<std::string, 4> found_;  ///< by rank
};

}  // namespace

void ErrorExcerpt::feed(std::string_view payload) {
    const auto room = bytes_max - begin_.size();
    begin_ += payload.substr(0, room);
    is_cut_ = is_cut_ || payload.size() > room;
}

std::string ErrorExcerpt::message() const {
    Messages messages;
    // Of a body that is cut the string that the cut is in counts as far as it goes.
    const auto text = is_cut_ ? std::string(without_ragged_end(begin_)) + '"' : begin_;
    static_cast<void>(nlohmann::json::sax_parse(text, &messages));
    const auto found = messages.best();
    return std::string(whole_characters(without_blanks(found), message_bytes_max));
}

}  // namespace corral::http
