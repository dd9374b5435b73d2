// A form's model is the same wherever the body is cut; the first byte of the input says where. The
// whole input is also tried as a Content-Type and as an urlencoded form.

#include "proxy/http/multipart_field.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace corral::http;

namespace {

template <class Scanner>
std::string scan(Scanner scanner, std::string_view text, std::size_t piece) {
    for (std::size_t at = 0; at < text.size(); at += piece) {
        static_cast<void>(scanner.feed(text.substr(at, piece)));
    }
    const bool accepted = scanner.finish() == Verdict::complete;
    if (accepted != scanner.reason().empty() || scanner.offset() > text.size()) {
        std::abort();
    }
    std::string out = accepted ? "accepted " : "refused ";
    if constexpr (requires { scanner.span(); }) {
        const auto [first, second] = scanner.span();
        if (first > second || second > text.size() ||
            (scanner.has_model() && text.substr(first, second - first) != scanner.model())) {
            std::abort();
        }
    }
    return out.append(scanner.model()).append(" ").append(scanner.reason());
}

template <class Scanner>
void check(const Scanner& scanner, std::string_view text, std::size_t piece) {
    const auto whole = scan(scanner, text, text.size() + 1);
    if (scan(scanner, text, 1) != whole || scan(scanner, text, piece) != whole) {
        std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    check(MultipartModel("b"), text, std::size_t{data[0]} + 1);
    check(UrlencodedModel(), text, std::size_t{data[0]} + 1);
    if (const auto boundary = multipart_boundary(text)) {
        check(MultipartModel(*boundary), text, 7);
    }
    return 0;
}
