// The forms' scanner against a reader that holds the whole form and searches it, on forms that are
// full of what is nearly a boundary, nearly a head and nearly the model.
#include "proxy/http/body_model.hpp"
#include "tests/support/form_reference.hpp"
#include "tests/support/rounds.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace corral;
using namespace corral::http;

namespace {

struct MadePart {
    std::string head;  ///< with the empty line at its end
    std::string content;
    bool is_model = false;
};

/// A form by its pieces, so that it is known what it is when one of them is another.
struct MadeForm {
    std::string preamble, boundary, padding, epilogue;
    std::vector<MadePart> parts;

    std::string text() const {
        std::string out = preamble;
        for (const auto& part : parts) {
            out += "--" + boundary + padding + "\r\n" + part.head + part.content + "\r\n";
        }
        return out + "--" + boundary + "--" + epilogue;
    }
};

class FormGenerator {
public:
    explicit FormGenerator(std::uint32_t seed) : random_(seed) {}

    std::size_t below(std::size_t n) { return random_() % n; }

    MadeForm form() {
        MadeForm out;
        out.boundary = pick({"b", "b", "----WebKitFormBoundaryAbC", "-", "--", "a'()+_,-./:=?z"});
        boundary_ = out.boundary;
        out.preamble = pick({"", "", "", "\r\n", "hello\r\n", "--\r\n"});
        out.padding = pick({"", "", "", " ", "\t "});
        out.epilogue = pick({"", "\r\n", "\r\n", "bye", "\r\n--" + boundary_ + "\r\n"});
        const auto count = below(5);
        const auto model_at = below(count + 1);  // now and then there is none
        for (std::size_t i = 0; i < count; ++i) {
            out.parts.push_back(i == model_at ? model() : other());
        }
        return out;
    }

    std::string name() {
        return pick({"real", "org/name:7b", "q\"uo\\te", "é 😀", "x\r", "a longer name than most"});
    }

    std::string damaged(std::string text) {
        constexpr std::string_view bytes = "\r\n\r\n--b: ;=\"\\m\t\x01\xff";
        const auto at = below(text.size());
        const char byte = bytes[below(bytes.size())];
        switch (below(4)) {
            case 0:
                text[at] = byte;
                return text;
            case 1:
                return text.insert(at, 1, byte);
            case 2:
                return text.erase(at, 1 + below(3));
            default:
                return text.insert(below(text.size()), text.substr(at, below(40)));
        }
    }

private:
    using Texts = std::vector<std::string>;

    std::string pick(const Texts& from) { return from[below(from.size())]; }

    MadePart model() {
        const auto before = below(3) == 0 ? field() : "";
        return {before +
                    pick({"Content-Disposition: form-data; name=\"model\"",
                          "content-disposition:form-data;name=model",
                          "Content-Disposition: form-data; x=\"a;b\\\"\"; NAME=\"mo\\del\" ;"}) +
                    "\r\n" + (below(3) == 0 ? field() : "") + "\r\n",
                pick({"a", "org/name", "é", content()}), true};
    }

    MadePart other() {
        return {pick({"Content-Disposition: form-data; name=\"model\"; filename=\"f\"\r\n",
                      "Content-Disposition: form-data; name=\"file\"; filename=\"model\"\r\n",
                      "Content-Disposition: form-data; name=models\r\n",
                      "Content-Disposition: form-data; filename*=UTF-8''x; name=model\r\n",
                      "Content-Disposition: attachment; name=model\r\n", ""}) +
                    (below(2) == 0 ? field() : "") + "\r\n",
                content(), false};
    }

    std::string field() {
        return pick({"Content-Type: audio/wav\r\n", "X-A:\r\n", "Content-Length: 7\r\n",
                     "Content-Transfer-Encoding: binary\r\n"});
    }

    /// Anything that has no boundary in it.
    std::string content() {
        std::string out;
        for (auto n = below(6); n > 0; --n) {
            const auto more = pick({"\r", "\n", "\r\n", "-", "--", "\r\n-", "\r\n--", "a",
                                    "\r\n--" + boundary_.substr(0, boundary_.size() - 1),
                                    "--" + boundary_, "\n--" + boundary_, std::string("\0\xff", 2),
                                    "Content-Disposition: form-data; name=model\r\n\r\nx"});
            const auto begins_with = "\r\n" + out + more + "\r\n-";
            out += begins_with.find("\r\n--" + boundary_) == std::string::npos ? more : "";
        }
        return out;
    }

    std::mt19937 random_;
    std::string boundary_;
};

/// Reads the form in pieces of this size, and holds what it says against the reference.
void check_pieces(std::string_view text, const std::string& boundary, std::size_t piece) {
    MultipartModel scanner(boundary);
    for (std::size_t at = 0; at < text.size(); at += piece) {
        static_cast<void>(scanner.feed(text.substr(at, piece)));
    }
    const bool accepted = scanner.finish() == Verdict::complete;
    const auto parts = reference::form_parts(text, boundary);
    CAPTURE(piece);
    CAPTURE(scanner.reason());
    REQUIRE(accepted == parts.has_value());
    if (!accepted) {
        return;
    }
    const auto model =
        std::find_if(parts->begin(), parts->end(), [](const auto& part) { return part.is_model; });
    if (model == parts->end()) {
        REQUIRE_FALSE(scanner.has_model());
        return;
    }
    const auto [first, second] = model->content;
    REQUIRE(scanner.has_model() == (first != second));
    REQUIRE(scanner.model() == text.substr(first, second - first));
    REQUIRE(scanner.span() == std::pair<std::uint64_t, std::uint64_t>(first, second));
}

BodyModel form_scanned(std::string_view text, const std::string& boundary, std::size_t cut) {
    Fields fields;
    fields.add("Content-Type", "multipart/form-data; boundary=\"" + boundary + "\"");
    BodyModel out(fields);
    static_cast<void>(out.feed(text.substr(0, cut)));
    static_cast<void>(out.feed(text.substr(cut)));
    REQUIRE(out.finish() == Verdict::complete);
    return out;
}

}  // namespace

TEST_CASE("scanner and reference agree on 20,000 generated forms, in pieces of any size") {
    // Guards: one form has one model, whoever reads it and however it arrives; what two readers
    // could read in two ways is refused.
    FormGenerator generate(5);
    std::size_t accepted = 0;
    for (int round = 0; round < corral::test::rounds(20'000); ++round) {
        const auto form = generate.form();
        auto text = form.text();
        for (auto damages = round % 3; damages > 0; --damages) {
            text = generate.damaged(text);
        }
        CAPTURE(text);
        for (const auto piece : {text.size() + 1, std::size_t{1}, std::size_t{2}, std::size_t{3},
                                 std::size_t{5}, 1 + generate.below(text.size())}) {
            check_pieces(text, form.boundary, piece);
        }
        accepted += reference::form_parts(text, form.boundary) ? 1 : 0;
    }
    CHECK(accepted > corral::test::rounds(9'000));  // the generator makes both kinds
    CHECK(accepted < 17'000);
}

TEST_CASE("another model in a form is all that changes, wherever the form was cut") {
    // Guards: order of the parts, their heads, preamble, padding and epilogue stay byte for byte.
    FormGenerator generate(6);
    std::size_t renamed = 0;
    for (int round = 0; round < 2'000; ++round) {
        auto form = generate.form();
        const auto text = form.text();
        const auto model = std::find_if(form.parts.begin(), form.parts.end(),
                                        [](const auto& part) { return part.is_model; });
        if (model == form.parts.end() || model->content.empty()) {
            continue;
        }
        CAPTURE(text);
        const auto asked_for = std::exchange(model->content, generate.name());
        for (std::size_t cut = 0; cut <= text.size(); ++cut) {
            const auto scanner = form_scanned(text, form.boundary, cut);
            REQUIRE(scanner.model() == asked_for);
            std::string body = text;
            REQUIRE(scanner.replace_model(body, model->content));
            REQUIRE(body == form.text());
        }
        check_pieces(form.text(), form.boundary, 1);
        ++renamed;
    }
    CHECK(renamed > corral::test::rounds(500));
}
