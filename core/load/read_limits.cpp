// `limits:`, Corral's own block: every member of struct Limits by name, with its bounds.
#include "core/load/loading.hpp"
#include "core/quantity.hpp"

#include <array>
#include <limits>
#include <utility>
#include <variant>

namespace corral::load {
namespace {

using std::chrono::milliseconds;

/// One member of Limits. Its bounds keep a slip of the pen from locking everybody out.
struct Limit {
    std::string_view name;
    std::variant<std::size_t Limits::*, milliseconds Limits::*> member;
    std::uint64_t least;  ///< bytes, a count, or milliseconds
    std::uint64_t most;
};

constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t gib = kib * kib * kib;
constexpr std::uint64_t century = 100ULL * 365 * 24 * 3600 * 1000;

constexpr std::array limits{
    Limit{"headBytesMax", &Limits::head_bytes_max, kib, gib / 4},
    Limit{"headLineBytesMax", &Limits::head_line_bytes_max, 256, gib / 4},
    Limit{"headFieldsMax", &Limits::head_fields_max, 8, 100'000},
    Limit{"bodyBuffered", &Limits::body_buffered, kib, 1024 * gib},
    Limit{"bodyBufferedTotal", &Limits::body_buffered_total, kib, 1024 * gib},
    Limit{"connections", &Limits::connections, 1, 1'000'000},
    Limit{"waitingPerModel", &Limits::waiting_per_model, 1, 1'000'000},
    Limit{"headTimeout", &Limits::head_timeout, 1, century},
    Limit{"bodyIdleTimeout", &Limits::body_idle_timeout, 1, century},
    Limit{"keepAliveTimeout", &Limits::keep_alive_timeout, 1, century},
    Limit{"writeTimeout", &Limits::write_timeout, 1, century},
    Limit{"queueTimeout", &Limits::queue_timeout, 1, century},
    Limit{"connectTimeout", &Limits::connect_timeout, 1, century},
    Limit{"probeTimeout", &Limits::probe_timeout, 1, century},
    Limit{"shutdownGrace", &Limits::shutdown_grace, 0, century},
};

Result<std::uint64_t> as_size(const Value& value) {
    if (const auto* text = std::get_if<std::string>(&value)) {
        return parse_size(*text);
    }
    const auto number = to_integer(value);
    if (!number || *number < 0) {
        return parse_size(to_text(value));  // for its message
    }
    return static_cast<std::uint64_t>(*number);
}

Result<std::uint64_t> as_duration(const Value& value) {
    const auto number = to_number(value);
    const auto duration = number ? duration_from_seconds(*number) : parse_duration(to_text(value));
    if (!duration) {
        return duration.error();
    }
    return static_cast<std::uint64_t>(duration->count());
}

void set(Limits& target, const Limit& limit, std::uint64_t value) {
    if (const auto* size = std::get_if<std::size_t Limits::*>(&limit.member)) {
        target.** size = static_cast<std::size_t>(value);
    } else if (const auto* time = std::get_if<milliseconds Limits::*>(&limit.member)) {
        target.** time = milliseconds(static_cast<std::int64_t>(value));
    }
}

void read_limit(Loading& loading, Reader& reader, const Limit& limit, const Node& node) {
    const std::string path = "limits." + std::string(limit.name);
    if (node.is_null()) {
        return;
    }
    if (!node.is_scalar()) {
        reader.type_error(node, path, "a number or a text");
        return;
    }
    const auto value = reader.scalar(node, path);
    if (!value) {
        return;
    }
    const bool is_time = std::holds_alternative<milliseconds Limits::*>(limit.member);
    const auto number = is_time ? as_duration(*value) : as_size(*value);
    if (!number) {
        loading.report.error(node.mark, path + ": " + number.error().detail);
        return;
    }
    if (*number < limit.least || *number > limit.most) {
        const auto show = [&](std::uint64_t n) {
            return is_time ? format_duration(milliseconds(static_cast<std::int64_t>(n)))
                           : std::to_string(n);
        };
        loading.report.error(node.mark, path + " is out of range: " + show(*number),
                             "from " + show(limit.least) + " to " + show(limit.most));
        return;
    }
    set(loading.config.limits, limit, *number);
}

}  // namespace

void read_limits(Loading& loading) {
    const Node* node = loading.root.find("limits");
    if (node == nullptr || !node->is_map()) {
        return;
    }
    Reader reader = loading.reader();
    for (const Limit& limit : limits) {
        if (const Node* value = node->find(limit.name)) {
            read_limit(loading, reader, limit, *value);
        }
    }
}

}  // namespace corral::load
