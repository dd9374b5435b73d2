// The scanner accepts what nlohmann_json accepts, finds the same model, and does not care where the
// body is cut; the first byte of the input says where.

#include "proxy/http/model_field.hpp"

#include "tests/support/json_reference.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

namespace reference = corral::http::reference;
using corral::http::ModelField;
using corral::http::Verdict;

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

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

/// With another name in it the document means the same but for that, and differs nowhere else.
void check_other_name(std::string_view text, const Outcome& whole) {
    if (!whole.has_model) {
        return;
    }
    const std::string name = "a\"\\\xc3\xa9";
    std::string named(text);
    const auto quoted = corral::http::json_quoted(name);
    named.replace(whole.span.first, whole.span.second - whole.span.first, quoted);
    auto want = nlohmann::json::parse(text);
    want["model"] = name;
    require(nlohmann::json::parse(named) == want);
    require(scan(named, named.size()).model == name);
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
    const reference::Reading reading(text);
    const bool too_long = whole.reason.find("4096") != std::string::npos;  // ours to refuse
    if (reading.overflows() || too_long) {
        return 0;
    }
    require(whole.accepted == reading.acceptable());
    if (whole.accepted) {
        require(reference::names_model(text, whole.model, whole.span));
        check_other_name(text, whole);
    }
    return 0;
}
