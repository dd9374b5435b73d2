#include "core/quantity.hpp"

#include <array>
#include <charconv>
#include <limits>
#include <utility>

namespace corral {
namespace {

using std::chrono::milliseconds;

/// Milliseconds a unit; the two-letter ones first, so that "ms" is not taken for "m".
constexpr std::array<std::pair<std::string_view, double>, 8> duration_units{{
    {"ns", 1e-6},
    {"us", 1e-3},
    {"µs", 1e-3},
    {"μs", 1e-3},
    {"ms", 1.0},
    {"s", 1e3},
    {"m", 60e3},
    {"h", 3600e3},
}};

constexpr std::array<std::pair<std::string_view, std::uint64_t>, 10> size_units{{
    {"", 1},
    {"B", 1},
    {"kB", 1'000},
    {"KB", 1'000},
    {"KiB", 1ULL << 10U},
    {"MB", 1'000'000},
    {"MiB", 1ULL << 20U},
    {"GB", 1'000'000'000},
    {"GiB", 1ULL << 30U},
    {"TiB", 1ULL << 40U},
}};

Error bad_duration(std::string_view text) {
    return {Errc::invalid_config, Blame::internal,
            "\"" + std::string(text) + "\" is not a duration (expected for example 250ms, 10s, " +
                "1m30s, at most 100 years)"};
}

Error bad_size(std::string_view text) {
    return {Errc::invalid_config, Blame::internal,
            "\"" + std::string(text) +
                "\" is not a size (expected bytes or for example 512KiB, 64MiB, 2GiB)"};
}

Result<milliseconds> from_milliseconds(double value, std::string_view text) {
    const auto max = static_cast<double>(milliseconds(duration_max).count());
    if (!(value >= 0) || value > max) {
        return bad_duration(text);
    }
    if (value > 0 && value < 1) {
        return milliseconds(1);
    }
    return milliseconds(static_cast<std::int64_t>(value));
}

}  // namespace

Result<milliseconds> parse_duration(std::string_view text) {
    if (text == "0") {
        return milliseconds(0);
    }
    double total = 0;
    std::string_view rest = text;
    do {
        double number = 0;
        const auto [end, ec] = std::from_chars(rest.data(), rest.data() + rest.size(), number,
                                               std::chars_format::fixed);
        // from_chars also takes "inf", "nan" and a minus sign.
        const bool digits = !rest.empty() && (rest[0] == '.' || (rest[0] >= '0' && rest[0] <= '9'));
        if (ec != std::errc{} || !digits) {
            return bad_duration(text);
        }
        rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
        bool known = false;
        for (const auto& [unit, scale] : duration_units) {
            if (rest.starts_with(unit)) {
                rest.remove_prefix(unit.size());
                total += number * scale;
                known = true;
                break;
            }
        }
        if (!known) {
            return bad_duration(text);
        }
    } while (!rest.empty());
    return from_milliseconds(total, text);
}

Result<milliseconds> duration_from_seconds(double seconds) {
    return from_milliseconds(seconds * 1e3, std::to_string(seconds) + "s");
}

Result<std::uint64_t> parse_size(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (ec != std::errc{}) {
        return bad_size(text);
    }
    auto unit = text.substr(static_cast<std::size_t>(end - text.data()));
    while (unit.starts_with(' ')) {
        unit.remove_prefix(1);
    }
    for (const auto& [name, scale] : size_units) {
        if (unit == name) {
            if (number > std::numeric_limits<std::uint64_t>::max() / scale) {
                return bad_size(text);
            }
            return number * scale;
        }
    }
    return bad_size(text);
}

std::string format_duration(milliseconds value) {
    return value.count() % 1000 == 0 ? std::to_string(value.count() / 1000) + "s"
                                     : std::to_string(value.count()) + "ms";
}

std::string counted(std::size_t number, std::string_view noun) {
    return std::to_string(number) + " " + std::string(noun) + (number == 1 ? "" : "s");
}

}  // namespace corral
