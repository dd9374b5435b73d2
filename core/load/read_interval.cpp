// Durations of Corral's own keys: a number of seconds, or a text with a unit. Intervals can be
// switched on and off, too.
#include "core/load/loading.hpp"
#include "core/quantity.hpp"

#include <variant>

namespace corral::load {
namespace {

using std::chrono::milliseconds;

/// What `true` stands for.
constexpr milliseconds usual_interval{1'000};

}  // namespace

Result<milliseconds> to_duration(const Value& value) {
    const auto number = to_number(value);
    return number ? duration_from_seconds(*number) : parse_duration(to_text(value));
}

std::optional<milliseconds> read_interval(Reader& reader, const Node& node, const Key& key) {
    if (node.is_null()) {
        return std::nullopt;
    }
    if (!node.is_scalar()) {
        reader.type_error(node, key.name, "a bool or a duration");
        return std::nullopt;
    }
    const auto value = reader.scalar(node, key.name);
    if (!value) {
        return std::nullopt;
    }
    if (const auto flag = to_bool(*value)) {
        return *flag ? usual_interval : milliseconds::zero();
    }
    const auto duration = to_duration(*value);
    if (!duration) {
        reader.report().error(node.mark, reader.place(key.name) + ": " + duration.error().detail);
        return std::nullopt;
    }
    const milliseconds least(key.traits.least);
    if (*duration != milliseconds::zero() && *duration < least) {
        reader.report().error(
            node.mark, reader.place(key.name) + " is out of range: " + format_duration(*duration),
            "false, true, or at least " + format_duration(least));
        return std::nullopt;
    }
    return *duration;
}

}  // namespace corral::load
