// What an answer says is read the same wherever it is cut, and as the parsed answer says it. The
// first byte of the input says what kind of answer it is and where it is cut. What its first bytes
// say went wrong is bounded UTF-8.

#include "proxy/http/stream_tap.hpp"

#include "proxy/http/error_excerpt.hpp"
#include "tests/support/usage_reference.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace corral::http;

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

template <class Reader>
Reader fed(Reader reader, std::string_view text, std::size_t piece) {
    for (std::size_t at = 0; at < text.size(); at += piece) {
        reader.feed(text.substr(at, piece));
    }
    return reader;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const bool events = data[0] % 2 == 0;
    const std::size_t piece = data[0] / 2U + 1;
    const StreamTap tap(events ? "text/event-stream" : "application/json", "");
    const auto whole = fed(tap, text, size).finish();
    require(fed(tap, text, 1).finish() == whole);
    require(fed(tap, text, piece).finish() == whole);
    if (reference::Comparable::body(text, events)) {
        require(whole == reference::usage(text, events));
    }
    const auto message = fed(ErrorExcerpt(), text, size).message();
    require(message.size() <= ErrorExcerpt::message_bytes_max);
    require(fed(ErrorExcerpt(), text, piece).message() == message);
    static_cast<void>(nlohmann::json(message).dump());  // throws when it is not UTF-8
    return 0;
}
