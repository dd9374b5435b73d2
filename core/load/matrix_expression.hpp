#pragma once
// One expression of llama-swap's matrix sets, from text to terms: `a & (b | c) & +base`. Names are
// not looked up here. Pure and bounded in depth and size; any thread.

#include "core/error.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace corral::load {

inline constexpr std::size_t matrix_depth_max = 200;
/// Of one expression, and of all sets together: an eviction question looks at each term once.
inline constexpr std::size_t matrix_terms_max = 65'536;

struct MatrixTerm {
    enum class Kind : std::uint8_t {
        name,  ///< of a variable or a model
        set,   ///< `+name`: another set, whichever way it is met
        all,   ///< `&`: all of the operands
        any    ///< `|`: one of them
    };
    Kind kind = Kind::name;
    std::string text;                     ///< the name; of a set without its `+`
    std::size_t position = 0;             ///< in characters from 0, blanks in front not counted
    std::vector<std::uint32_t> operands;  ///< of all and any: indexes of earlier terms
};

struct MatrixExpression {
    std::vector<MatrixTerm> terms;  ///< operands before what joins them; the last is the whole
};

/// The error's detail has llama-swap's phrase and the position: `tokenize: unexpected character '!'
/// at position 3`.
[[nodiscard]] Result<MatrixExpression> parse_matrix_expression(std::string_view text);

}  // namespace corral::load
