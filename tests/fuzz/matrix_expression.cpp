// An expression of the matrix never crashes the parser; what comes out is a tree whose operands
// stand before what joins them, each used once; written out again it means the same; a refusal has
// one of the known phrases and, but for an empty text, a position inside the text.

#include "core/load/matrix_expression.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

using namespace corral;
using namespace corral::load;

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void check_refusal(const std::string& detail, std::size_t size) {
    constexpr std::array<std::string_view, 3> starts{"tokenize: ", "parse: ", "empty DSL"};
    require(std::any_of(starts.begin(), starts.end(),
                        [&](std::string_view start) { return detail.starts_with(start); }));
    constexpr std::string_view before = " at position ";
    const auto at = detail.rfind(before);
    require(detail == "empty DSL expression" || at != std::string::npos);
    if (at != std::string::npos) {
        require(std::stoull(detail.substr(at + before.size())) <= size);
    }
}

void check_tree(const MatrixExpression& expression) {
    std::vector<int> uses(expression.terms.size(), 0);
    for (std::size_t i = 0; i < expression.terms.size(); ++i) {
        const MatrixTerm& term = expression.terms[i];
        const bool joins = term.kind == MatrixTerm::Kind::all || term.kind == MatrixTerm::Kind::any;
        require(joins == term.text.empty() &&
                (joins ? term.operands.size() >= 2 : term.operands.empty()));
        for (const std::uint32_t operand : term.operands) {
            require(operand < i && uses[operand]++ == 0);
        }
    }
    require(std::count(uses.begin(), uses.end(), 0) == 1 && uses.back() == 0);
}

std::string shown(const MatrixExpression& expression, std::size_t at) {
    const MatrixTerm& term = expression.terms[at];
    if (term.operands.empty()) {
        return (term.kind == MatrixTerm::Kind::set ? "+" : "") + term.text;
    }
    std::string out;
    for (const std::uint32_t operand : term.operands) {
        out += out.empty() ? "(" : term.kind == MatrixTerm::Kind::all ? "&" : "|";
        out += shown(expression, operand);
    }
    return out + ")";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto expression = parse_matrix_expression(text);
    if (!expression) {
        check_refusal(expression.error().detail, size);
        return 0;
    }
    check_tree(*expression);
    const std::string written = shown(*expression, expression->terms.size() - 1);
    const auto again = parse_matrix_expression(written);
    if (!again) {  // written out, `a&b` has parentheses that it had not
        require(again.error().detail.find("parentheses within each other") != std::string::npos);
        return 0;
    }
    require(shown(*again, again->terms.size() - 1) == written);
    return 0;
}
