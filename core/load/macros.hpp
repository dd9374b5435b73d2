#pragma once
// Macros as llama-swap expands them: one pass over the list in reverse order of declaration, a
// string that is nothing but one macro takes the macro's typed value. Bounded. Pure; one thread.

#include "core/error.hpp"
#include "core/load/yaml_scalar.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace corral::load {

/// A `${name}` in a text, name of letters, digits, `_` and `-`.
struct MacroReference {
    std::size_t begin;
    std::size_t end;
    std::string_view name;
};
[[nodiscard]] std::optional<MacroReference> find_macro(std::string_view text, std::size_t from);

/// Why this cannot be the name of a macro, in llama-swap's words; empty when it can.
[[nodiscard]] std::string macro_name_mistake(std::string_view name);

/// How many bytes all expansions of one file may make.
class MacroBudget {
public:
    [[nodiscard]] bool spend(std::size_t bytes) noexcept;

private:
    std::size_t left_ = 64U << 20U;
};

/// The macros that one place of the file sees.
class MacroScope {
public:
    /// The global scope.
    MacroScope() = default;
    /// A model's scope: MODEL_ID, then the globals, then its own. `global` must outlive it.
    MacroScope(const MacroScope& global, std::string_view model_id);

    /// Adds a macro at the end, or replaces one of the same name where it stands.
    void define(const std::string& name, Value value);

    /// The value with every macro of this scope expanded; what is unknown stays as it is. Error:
    /// invalid_config when it grows beyond 1 MiB, or the budget is used up.
    [[nodiscard]] Result<Value> expand(Value value, MacroBudget& budget) const;

    /// The macro of this scope that a mistyped name may mean; empty when none is near.
    [[nodiscard]] std::string nearest(std::string_view name) const;

private:
    struct Macro {
        std::size_t rank;  ///< its place in the list; expansion goes from high to low
        Value value;
    };
    [[nodiscard]] const Macro* find(const std::string& name) const;

    const MacroScope* global_ = nullptr;
    std::unordered_map<std::string, Macro> own_;
    std::size_t next_rank_ = 1;
};

}  // namespace corral::load
