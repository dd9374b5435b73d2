// A form's model is the same wherever the body is cut, and as a reader of the whole form finds it;
// another model in its place changes nothing else. The first byte of the input says where to cut.
// The whole input is also tried as a Content-Type and as an urlencoded form.

#include "proxy/http/multipart_field.hpp"

#include "tests/support/form_reference.hpp"

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

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

/// The form read whole, and again with another model in it.
void check_parts(std::string_view text, const std::string& boundary) {
    MultipartModel scanner(boundary);
    static_cast<void>(scanner.feed(text));
    const bool accepted = scanner.finish() == Verdict::complete;
    const auto parts = reference::form_parts(text, boundary);
    require(accepted == parts.has_value());
    if (!accepted || !scanner.has_model()) {
        return;
    }
    const auto [first, second] = scanner.span();
    std::string renamed(text);
    const std::string name = "another";
    renamed.replace(first, second - first, name);
    const auto after = reference::form_parts(renamed, boundary);
    require(after && after->size() == parts->size());
    for (std::size_t i = 0; i < parts->size(); ++i) {
        const auto bytes = [](std::string_view of, auto range) {
            return of.substr(range.first, range.second - range.first);
        };
        const auto& was = (*parts)[i];
        const auto& is = (*after)[i];
        require(was.is_model == is.is_model && bytes(text, was.head) == bytes(renamed, is.head));
        require(bytes(renamed, is.content) == (is.is_model ? name : bytes(text, was.content)));
        require(!was.is_model || was.content == std::pair<std::size_t, std::size_t>(first, second));
    }
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
    check_parts(text, "b");
    check(UrlencodedModel(), text, std::size_t{data[0]} + 1);
    if (const auto boundary = multipart_boundary(text)) {
        check(MultipartModel(*boundary), text, 7);
        check_parts(text, *boundary);
    }
    return 0;
}
