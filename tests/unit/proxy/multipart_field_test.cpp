// The model of a form is found in multipart and urlencoded bodies, wherever they are cut.
#include "proxy/http/multipart_field.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace corral;
using namespace corral::http;

namespace {

struct Outcome {
    bool accepted = false, has_model = false;
    std::string model;
    std::pair<std::uint64_t, std::uint64_t> span{0, 0};
    std::string reason;

    friend bool operator==(const Outcome&, const Outcome&) = default;
};

template <class Scanner>
Outcome run(Scanner scanner, std::string_view text, std::size_t piece) {
    for (; !text.empty(); text.remove_prefix(std::min(piece, text.size()))) {
        static_cast<void>(scanner.feed(text.substr(0, piece)));
    }
    const auto verdict = scanner.finish();
    Outcome out{verdict == Verdict::complete,
                scanner.has_model(),
                std::string(scanner.model()),
                {0, 0},
                std::string(scanner.reason())};
    if constexpr (requires { scanner.span(); }) {
        out.span = scanner.span();
    }
    return out;
}

Outcome multipart(std::string_view text, std::size_t piece = std::string_view::npos) {
    return run(MultipartModel("b"), text, piece);
}

Outcome urlencoded(std::string_view text, std::size_t piece = std::string_view::npos) {
    return run(UrlencodedModel(), text, piece);
}

std::string part(const std::string& disposition, const std::string& body,
                 const std::string& more = "") {
    return "--b\r\nContent-Disposition: form-data; " + disposition + "\r\n" + more + "\r\n" + body +
           "\r\n";
}

const std::string file =
    part(R"(name="file"; filename="x.wav")", std::string("RIFF\r\n\r\n--\r\n--c\r\r\n-\0\xff", 20),
         "Content-Type: audio/wav\r\n");
const std::string model = part(R"(name="model")", "whisper");
const std::string end = "--b--\r\n";

struct Row {
    bool accepted;
    std::string_view what;
    std::string body;
    std::string model;
};

const std::vector<Row> rows{
    {true, "model first", model + file + end, "whisper"},
    {true, "model last, behind a file with false boundaries", file + model + end, "whisper"},
    {true, "no model", file + end, ""},
    {true, "no part", end, ""},
    {true, "no CRLF at the end", model + "--b--", "whisper"},
    {true, "preamble and epilogue", "hello\r\n" + model + end + "bye\r\n--b\r\n", "whisper"},
    {true, "padding behind the boundary", "--b \t\r\n" + model.substr(5) + end, "whisper"},
    {true, "name without quotes", part("name=model", "m") + end, "m"},
    {true, "name with an escape", part(R"(name="mo\del")", "m") + end, "m"},
    {true, "another order and case",
     "--b\r\ncontent-DISPOSITION:form-data;x=y;NAME=model\r\n\r\nm\r\n" + end, "m"},
    {true, "charset of the part", part("name=model", "m", "Content-Type: text/plain\r\n") + end,
     "m"},
    {true, "a file called model is no model", part(R"(name="model"; filename="f")", "x") + end, ""},
    {true, "an attachment is no field",
     "--b\r\nContent-Disposition: attachment; name=model\r\n\r\nx\r\n" + end, ""},
    {true, "a part without disposition", "--b\r\n\r\nx\r\n" + end, ""},
    {true, "similar names", part("name=\"models\"", "x") + part("name=\"Model\"", "y") + end, ""},
    {true, "value with CRLF and dashes", part("name=model", "a\r\n--c\r\n-") + end,
     "a\r\n--c\r\n-"},
    {true, "empty value", part("name=model", "") + end, ""},
    {true, "empty part, its CRLF shared",
     "--b\r\nContent-Disposition: form-data; name=model\r\n\r\n--b--", ""},
    {false, "the model twice", model + model + end, ""},
    {false, "empty body", "", ""},
    {false, "no boundary", "hello", ""},
    {false, "no closing boundary", model, ""},
    {false, "cut in the file", file.substr(0, 90), ""},
    {false, "text behind the boundary", "--bx\r\n" + model.substr(5) + end, ""},
    {false, "a boundary that another extends", file + "--bb\r\n", ""},
    {false, "one dash behind the boundary", "--b-\r\n\r\n", ""},
    {false, "bare LF in a part's head", "--b\r\nA: b\n\r\nx\r\n" + end, ""},
    {false, "no colon in a part's head", "--b\r\nabc\r\n\r\nx\r\n" + end, ""},
    {false, "folded part head", "--b\r\nA: b\r\n c\r\n\r\nx\r\n" + end, ""},
    {false, "bare CR in a part's head", "--b\r\nA: b\rc\r\n\r\nx\r\n" + end, ""},
    {false, "two dispositions",
     part("name=x", "y", "Content-Disposition: form-data; name=model\r\n") + end, ""},
    {false, "two dispositions, the first of them empty",
     "--b\r\nContent-Disposition:\r\n" + model.substr(5) + end, ""},
    {false, "two names", part("name=model; name=x", "y") + end, ""},
    {false, "open quote", part("name=\"model", "y") + end, ""},
    {false, "text between parameters", part("name=\"model\" x", "y") + end, ""},
    {false, "long part head", part("name=x; y=" + std::string(9'000, 'z'), "y") + end, ""},
    {false, "long name", part("name=model", std::string(5'000, 'z')) + end, ""},
};

}  // namespace

TEST_CASE("the model of a multipart form is found, malformed forms are refused") {
    for (const auto& row : rows) {
        CAPTURE(row.what);
        const auto whole = multipart(row.body);
        CHECK(whole.accepted == row.accepted);
        CHECK(whole.reason.empty() == row.accepted);
        if (!row.accepted) {
            continue;
        }
        CHECK(whole.has_model == !row.model.empty());
        CHECK(whole.model == row.model);
        const auto [first, second] = whole.span;
        CHECK(row.body.substr(first, second - first) == row.model);
    }
}

TEST_CASE("where a form is cut does not matter") {
    for (const auto& row : rows) {
        CAPTURE(row.what);
        const auto whole = multipart(row.body);
        for (std::size_t piece = 1; piece < std::min<std::size_t>(row.body.size(), 150); ++piece) {
            CHECK(multipart(row.body, piece) == whole);
        }
    }
}

TEST_CASE("a form of very many parts is refused") {
    std::string body;
    for (int i = 0; i < 1'001; ++i) {
        body += part("name=x", "y");
    }
    CHECK_FALSE(multipart(body + end).accepted);
}

TEST_CASE("boundaries are those of RFC 2046") {
    CHECK(multipart_boundary("multipart/form-data; boundary=abc") == "abc");
    CHECK(multipart_boundary("Multipart/Form-Data;Boundary=\"a b:c\" ; x=y") == "a b:c");
    CHECK(multipart_boundary("multipart/form-data; charset=utf-8; boundary=----WebKit7") ==
          "----WebKit7");
    const std::string longest(70, 'a');
    CHECK(multipart_boundary("multipart/form-data; boundary=" + longest) == longest);
    for (const auto& bad :
         {std::string("multipart/form-data"), std::string("multipart/form-data; boundary="),
          "multipart/form-data; boundary=" + longest + "a",
          std::string("multipart/form-data; boundary=\"a"),
          std::string("multipart/form-data; boundary=\"a \""),
          std::string("multipart/form-data; boundary=a<b"),
          std::string("multipart/form-data; boundary=a; boundary=b"),
          std::string("multipart/mixed; boundary=a"), std::string("application/json"),
          std::string("multipart/form-data; boundary=\"a\r\nb\""), std::string()}) {
        CAPTURE(bad);
        CHECK(multipart_boundary(bad) == std::nullopt);
    }
}

TEST_CASE("the model of an urlencoded form is found, wherever it is cut") {
    const std::vector<std::pair<std::string, std::string>> forms{
        {"model=a&foo=bar", "a"},
        {"foo=bar&model=org%2Fa+b", "org/a b"},
        {"mod%65l=a%3D=b", "a==b"},
        {"%6d%6f%64%65%6c=a", "a"},
        {"models=x&xmodel=y&Model=z", ""},
        {"model&model=a", "a"},
        {"model=", ""},
        {"", ""},
        {"&&&model=a&&", "a"},
        {std::string(50'000, 'x') + "&model=a", "a"},
        {"k=" + std::string(50'000, 'x') + "&model=a", "a"},
        {"x=%zz&model=a", "a"},
    };
    for (const auto& [text, name] : forms) {
        CAPTURE(text.substr(0, 40));
        const auto whole = urlencoded(text);
        CHECK(whole.accepted);
        CHECK(whole.model == name);
        CHECK(whole.has_model == !name.empty());
        for (const std::size_t piece : {1U, 2U, 3U, 7U}) {
            CHECK(urlencoded(text, piece) == whole);
        }
    }
    for (const auto& text : {std::string("model=a&model=a"), std::string("model=%zz"),
                             "model=" + std::string(5'000, 'x'), std::string("model=a%4")}) {
        CAPTURE(text.substr(0, 40));
        CHECK_FALSE(urlencoded(text).accepted);
        CHECK(urlencoded(text, 1) == urlencoded(text));
    }
}

TEST_CASE("a form's error is the client's and says where") {
    MultipartModel scanner("b");
    CHECK(scanner.feed("--bx") == Verdict::malformed);
    CHECK(scanner.error().is(Errc::bad_request));
    CHECK(scanner.error().blame == Blame::client);
    CHECK(scanner.error().detail.find("byte 3") != std::string::npos);
}
