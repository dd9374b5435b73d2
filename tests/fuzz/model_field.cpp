// The scanner accepts what nlohmann_json accepts, finds the same model, and does not care where the
// body is cut; the first byte of the input says where.

#include "proxy/http/model_field.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

using corral::http::ModelField;
using corral::http::Verdict;

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

/// What nlohmann sees: depth, top-level models, and whether a number was too large for a double.
struct SecondOpinion : nlohmann::json_sax<nlohmann::json> {
    int depth = 0, deepest = 0, models = 0;
    bool overflow = false, at_model = false, top_is_object = false;
    std::optional<std::string> model;

    bool scalar() { return std::exchange(at_model, false) || true; }
    bool open(bool object) {
        top_is_object = depth == 0 ? object : top_is_object;
        at_model = false;
        deepest = std::max(deepest, ++depth);
        return true;
    }
    bool null() override { return scalar(); }
    bool boolean(bool) override { return scalar(); }
    bool number_integer(number_integer_t) override { return scalar(); }
    bool number_unsigned(number_unsigned_t) override { return scalar(); }
    bool number_float(number_float_t, const string_t&) override { return scalar(); }
    bool string(string_t& text) override {
        if (at_model) {
            model = text;
        }
        return scalar();
    }
    bool binary(binary_t&) override { return scalar(); }
    bool start_object(std::size_t) override { return open(true); }
    bool start_array(std::size_t) override { return open(false); }
    bool key(string_t& text) override {
        at_model = depth == 1 && text == "model";
        models += at_model ? 1 : 0;
        return true;
    }
    bool end_object() override { return --depth >= 0; }
    bool end_array() override { return --depth >= 0; }
    bool parse_error(std::size_t, const std::string&,
                     const nlohmann::detail::exception& error) override {
        overflow = error.id == 406;
        return false;
    }
};

struct Outcome {
    bool accepted, has_model, stream;
    std::string model, reason;
    std::uint64_t offset;
    std::pair<std::uint64_t, std::uint64_t> span;
    friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome scan(std::string_view text, std::size_t piece) {
    ModelField scanner;
    for (std::size_t at = 0; at < text.size(); at += piece) {
        static_cast<void>(scanner.feed(text.substr(at, piece)));
    }
    const bool accepted = scanner.finish() == Verdict::complete;
    return {accepted,
            scanner.has_model(),
            scanner.stream(),
            std::string(scanner.model()),
            std::string(scanner.reason()),
            scanner.offset(),
            scanner.span()};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto whole = scan(text, std::max<std::size_t>(text.size(), 1));
    require(scan(text, 1) == whole);
    require(scan(text, std::size_t{data[0]} + 1) == whole);
    require(whole.accepted == whole.reason.empty() && whole.offset <= text.size());
    // nlohmann skips a byte-order mark and takes a NUL for the end.
    if (text.starts_with("\xef\xbb\xbf") || text.find('\0') != std::string_view::npos) {
        return 0;
    }
    SecondOpinion second;
    const bool valid = nlohmann::json::sax_parse(text.begin(), text.end(), &second);
    if (second.overflow || second.deepest > 128) {
        return 0;
    }
    require(whole.accepted == (valid && second.models <= 1));
    if (whole.accepted && second.model && !second.model->empty()) {
        require(whole.model == *second.model);
        const auto raw = text.substr(whole.span.first, whole.span.second - whole.span.first);
        require(nlohmann::json::parse(raw) == *second.model);
    }
    return 0;
}
