// The matrix's expressions: what they mean, and each mistake with its position.
#include "core/load/matrix_expression.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace corral;
using namespace corral::load;

namespace {

/// The terms with every parenthesis written: `((a & b) | +c)`.
std::string shown(const MatrixExpression& expression, std::size_t at) {
    const MatrixTerm& term = expression.terms[at];
    if (term.kind == MatrixTerm::Kind::name) {
        return term.text;
    }
    if (term.kind == MatrixTerm::Kind::set) {
        return "+" + term.text;
    }
    std::string out;
    for (const std::uint32_t operand : term.operands) {
        CHECK(operand < at);
        out += out.empty() ? "(" : term.kind == MatrixTerm::Kind::all ? " & " : " | ";
        out += shown(expression, operand);
    }
    return out + ")";
}

std::string parsed(const std::string& text) {
    const auto expression = parse_matrix_expression(text);
    return expression ? shown(*expression, expression->terms.size() - 1)
                      : expression.error().detail;
}

}  // namespace

TEST_CASE("`&` binds closer than `|`, parentheses closest, and a list is one term") {
    // Guards: the grammar of llama-swap's matrix.
    CHECK(parsed("a") == "a");
    CHECK(parsed("a & b & c") == "(a & b & c)");
    CHECK(parsed("a | b & c | d") == "(a | (b & c) | d)");
    CHECK(parsed("(a | b) & c") == "((a | b) & c)");
    CHECK(parsed("((a))") == "a");
    CHECK(parsed("a&(b|(c&d))") == "(a & (b | (c & d)))");
    CHECK(parsed("+base & x") == "(+base & x)");
    CHECK(parsed(" \t\n a-1.5_x \r\n|\n7b ") == "(a-1.5_x | 7b)");
    CHECK(parsed("modèle & 模型") == "(modèle & 模型)");
    CHECK(parsed("a\xc2\xa0&\xe3\x80\x80"
                 "b") == "(a & b)");  // blanks beyond ASCII
}

TEST_CASE("every mistake has llama-swap's phrase and its position") {
    // Guards: the stable phrases, positions in characters after the blanks in front.
    const std::vector<std::pair<std::string, std::string>> cases{
        {"", "empty DSL expression"},
        {" \n\t ", "empty DSL expression"},
        {"a !", "tokenize: unexpected character '!' at position 2"},
        {"   a / b", "tokenize: unexpected character '/' at position 2"},
        {"é & m:7b", "tokenize: unexpected character ':' at position 5"},
        {"a \xff", "tokenize: unexpected character '\xff' at position 2"},
        {"a & +", "tokenize: expected set name after '+' at position 5"},
        {"+ a", "tokenize: expected set name after '+' at position 1"},
        {"(a | b", "parse: missing closing parenthesis for the one at position 0"},
        {"a & ((b)", "parse: missing closing parenthesis for the one at position 4"},
        {"(a b)", "parse: missing closing parenthesis for the one at position 0"},
        {"a b", "parse: unexpected token \"b\" after expression at position 2"},
        {"a)", "parse: unexpected token \")\" after expression at position 1"},
        {"a +b", "parse: unexpected token \"b\" after expression at position 2"},
        {"& a", "parse: unexpected token \"&\" at position 0"},
        {"a | | b", "parse: unexpected token \"|\" at position 4"},
        {"a &", "parse: unexpected token \"\" at position 3"},
        {"()", "parse: unexpected token \")\" at position 1"},
        {"a b !", "tokenize: unexpected character '!' at position 4"},  // tokens first
    };
    for (const auto& [text, expected] : cases) {
        CAPTURE(text);
        CHECK(parsed(text) == expected);
    }
}

TEST_CASE("depth and size are bounded") {
    // Guards: no stack overflow from parentheses, no memory without end from a long text.
    const auto nested = [](std::size_t levels) {
        return std::string(levels, '(') + "a" + std::string(levels, ')');
    };
    CHECK(parsed(nested(matrix_depth_max)) == "a");
    CHECK(parsed(nested(matrix_depth_max + 1)) ==
          "parse: more than 200 parentheses within each other at position 200");
    CHECK(parsed(nested(1'000'000)).starts_with("parse: more than 200 parentheses"));

    std::string many = "a";
    for (std::size_t i = 1; i + 1 < matrix_terms_max; ++i) {
        many += "|a";
    }
    CHECK(parse_matrix_expression(many).has_value());  // with the term that joins them
    CHECK(parsed(many + "|a") == "parse: more than 65536 terms at position 0");
    CHECK(parsed(many + "|a|a").starts_with("parse: more than 65536 terms"));
}
