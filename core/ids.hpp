#pragma once
// Strong types for names. Classes with explicit constructors, not aggregates: g++ 12 miscompiles
// aggregate prvalues next to co_await (docs/architecture.md, "Traps"). Any thread.

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace corral {

/// A model's own name in the config (never an alias).
class ModelId {
public:
    ModelId() = default;
    explicit ModelId(std::string value) : value_(std::move(value)) {}
    [[nodiscard]] const std::string& str() const noexcept { return value_; }
    [[nodiscard]] bool empty() const noexcept { return value_.empty(); }
    friend auto operator<=>(const ModelId&, const ModelId&) = default;
    friend bool operator==(const ModelId&, const ModelId&) = default;

private:
    std::string value_;
};

}  // namespace corral

template <>
struct std::hash<corral::ModelId> {
    std::size_t operator()(const corral::ModelId& id) const noexcept {
        return std::hash<std::string>{}(id.str());
    }
};
