// Two passes over the same lexer: the first finds what is no token at all, because llama-swap says
// that before anything else; the second is a recursive descent, one token ahead.
#include "core/load/matrix_expression.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace corral::load {
namespace {

/// The code point at the start of a text, and its length in bytes. A stray byte stands for itself.
struct Character {
    char32_t code = 0;
    std::size_t bytes = 0;
    bool broken = false;
};

Character first_character(std::string_view text) {
    const auto lead = static_cast<unsigned char>(text.front());
    const std::size_t bytes = lead < 0x80   ? 1
                              : lead < 0xc0 ? 0
                              : lead < 0xe0 ? 2
                              : lead < 0xf0 ? 3
                                            : 4;
    if (bytes == 0 || lead > 0xf4 || text.size() < bytes) {
        return {lead, 1, true};
    }
    auto code = static_cast<char32_t>(bytes == 1 ? lead : lead & (0x7fU >> bytes));
    for (std::size_t i = 1; i < bytes; ++i) {
        const auto next = static_cast<unsigned char>(text[i]);
        if ((next & 0xc0U) != 0x80U) {
            return {lead, 1, true};
        }
        code = (code << 6U) | (next & 0x3fU);
    }
    return {code, bytes, false};
}

/// What Go's unicode.IsSpace takes for one.
bool is_blank(char32_t c) {
    constexpr std::array<char32_t, 10> others{0x85,   0xa0,   0x1680, 0x2028, 0x2029,
                                              0x202f, 0x205f, 0x3000, ' ',    0x2000};
    return (c >= '\t' && c <= '\r') || (c > 0x2000 && c <= 0x200a) ||
           std::find(others.begin(), others.end(), c) != others.end();
}

/// Beyond ASCII everything may be part of a name: it can only be the name of a model, or unknown.
bool is_name_character(const Character& c) {
    const char32_t code = c.code;
    return !c.broken && ((code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z') ||
                         (code >= '0' && code <= '9') || code == '_' || code == '-' ||
                         code == '.' || (code >= 0x80 && !is_blank(code)));
}

struct Token {
    enum class Kind : std::uint8_t { name, set, sign, broken, end };
    Kind kind = Kind::end;
    std::string_view text;     ///< of a set without its `+`
    std::size_t position = 0;  ///< of its first character
};

class Lexer {
public:
    explicit Lexer(std::string_view text) : rest_(text) {}

    Token next() {
        skip(is_blank_character);
        if (rest_.empty()) {
            return {Token::Kind::end, rest_, position_};
        }
        const std::size_t at = position_;
        const Character c = first_character(rest_);
        if (c.code == '+') {
            take(c);
            return {Token::Kind::set, skip(is_name_character), at};
        }
        if (is_name_character(c)) {
            return {Token::Kind::name, skip(is_name_character), at};
        }
        const std::string_view sign = rest_.substr(0, c.bytes);
        take(c);
        const bool known = sign == "&" || sign == "|" || sign == "(" || sign == ")";
        return {known ? Token::Kind::sign : Token::Kind::broken, sign, at};
    }

    /// Where the text begins, blanks passed over: positions count from there.
    [[nodiscard]] static std::string_view trimmed(std::string_view text) {
        Lexer lexer(text);
        lexer.skip(is_blank_character);
        return lexer.rest_;
    }

private:
    static bool is_blank_character(const Character& c) { return !c.broken && is_blank(c.code); }

    void take(const Character& c) {
        rest_.remove_prefix(c.bytes);
        ++position_;
    }

    std::string_view skip(bool (*wanted)(const Character&)) {
        const std::string_view from = rest_;
        while (!rest_.empty()) {
            const Character c = first_character(rest_);
            if (!wanted(c)) {
                break;
            }
            take(c);
        }
        return from.substr(0, from.size() - rest_.size());
    }

    std::string_view rest_;
    std::size_t position_ = 0;
};

Error mistake(std::string what) {
    return {Errc::invalid_config, Blame::client, std::move(what)};
}

std::string at_position(std::size_t position) {
    return " at position " + std::to_string(position);
}

Result<void> check_tokens(std::string_view text) {
    Lexer lexer(text);
    for (Token token = lexer.next(); token.kind != Token::Kind::end; token = lexer.next()) {
        if (token.kind == Token::Kind::broken) {
            return mistake("tokenize: unexpected character '" + std::string(token.text) + "'" +
                           at_position(token.position));
        }
        if (token.kind == Token::Kind::set && token.text.empty()) {
            return mistake("tokenize: expected set name after '+'" +
                           at_position(token.position + 1));
        }
    }
    return {};
}

class Parser {
public:
    explicit Parser(std::string_view text) : lexer_(text), ahead_(lexer_.next()) {}

    Result<MatrixExpression> whole() {
        if (const auto root = any(0); !root) {
            return root.error();
        }
        if (ahead_.kind != Token::Kind::end) {
            return mistake(unexpected() + " after expression" + at_position(ahead_.position));
        }
        return std::move(out_);
    }

private:
    Result<std::uint32_t> any(std::size_t depth) {
        return joined(MatrixTerm::Kind::any, "|", [&] { return all(depth); });
    }

    Result<std::uint32_t> all(std::size_t depth) {
        return joined(MatrixTerm::Kind::all, "&", [&] { return atom(depth); });
    }

    /// One operand alone is itself; several become the operands of a new term.
    template <class Operand>
    Result<std::uint32_t> joined(MatrixTerm::Kind kind, std::string_view sign, Operand operand) {
        const std::size_t position = ahead_.position;
        auto first = operand();
        if (!first || !is_sign(sign)) {
            return first;
        }
        std::vector<std::uint32_t> operands{*first};
        while (is_sign(sign)) {
            advance();
            auto next = operand();
            if (!next) {
                return next;
            }
            operands.push_back(*next);
        }
        return add({kind, "", position, std::move(operands)});
    }

    Result<std::uint32_t> atom(std::size_t depth) {
        const Token token = ahead_;
        if (token.kind == Token::Kind::name || token.kind == Token::Kind::set) {
            advance();
            const auto kind =
                token.kind == Token::Kind::name ? MatrixTerm::Kind::name : MatrixTerm::Kind::set;
            return add({kind, std::string(token.text), token.position, {}});
        }
        if (!is_sign("(")) {
            return mistake(unexpected() + at_position(token.position));
        }
        if (depth == matrix_depth_max) {
            return mistake("parse: more than " + std::to_string(matrix_depth_max) +
                           " parentheses within each other" + at_position(token.position));
        }
        advance();
        auto inner = any(depth + 1);
        if (inner && !is_sign(")")) {
            return mistake("parse: missing closing parenthesis for the one" +
                           at_position(token.position));
        }
        advance();
        return inner;
    }

    Result<std::uint32_t> add(MatrixTerm term) {
        if (out_.terms.size() == matrix_terms_max) {
            return mistake("parse: more than " + std::to_string(matrix_terms_max) + " terms" +
                           at_position(term.position));
        }
        out_.terms.push_back(std::move(term));
        return static_cast<std::uint32_t>(out_.terms.size() - 1);
    }

    void advance() { ahead_ = lexer_.next(); }
    [[nodiscard]] bool is_sign(std::string_view sign) const {
        return ahead_.kind == Token::Kind::sign && ahead_.text == sign;
    }
    [[nodiscard]] std::string unexpected() const {
        return "parse: unexpected token \"" + std::string(ahead_.text) + "\"";
    }

    Lexer lexer_;
    Token ahead_;
    MatrixExpression out_;
};

}  // namespace

Result<MatrixExpression> parse_matrix_expression(std::string_view text) {
    const std::string_view trimmed = Lexer::trimmed(text);
    if (trimmed.empty()) {
        return mistake("empty DSL expression");
    }
    if (const auto tokens = check_tokens(trimmed); !tokens) {
        return tokens.error();
    }
    return Parser(trimmed).whole();
}

}  // namespace corral::load
