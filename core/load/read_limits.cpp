// `limits:`, Corral's own block: every member of struct Limits by its name in the table of keys.
#include "core/load/loading.hpp"
#include "core/quantity.hpp"

#include <array>
#include <limits>
#include <optional>
#include <utility>
#include <variant>

namespace corral::load {
namespace {

using std::chrono::milliseconds;

/// One member of Limits; its bounds are in the table of keys.
struct Limit {
    std::string_view name;
    std::variant<std::size_t Limits::*, std::optional<std::size_t> Limits::*,
                 milliseconds Limits::*>
        member;
};

constexpr std::array limits{
    Limit{"headBytesMax", &Limits::head_bytes_max},
    Limit{"headLineBytesMax", &Limits::head_line_bytes_max},
    Limit{"headFieldsMax", &Limits::head_fields_max},
    Limit{"bodyBuffered", &Limits::body_buffered},
    Limit{"bodyBufferedTotal", &Limits::body_buffered_total},
    Limit{"connections", &Limits::connections},
    Limit{"connectionsPerPeer", &Limits::connections_per_peer},
    Limit{"waitingPerModel", &Limits::waiting_per_model},
    Limit{"headTimeout", &Limits::head_timeout},
    Limit{"bodyIdleTimeout", &Limits::body_idle_timeout},
    Limit{"bodyRateMin", &Limits::body_rate_min},
    Limit{"bodyRateAfter", &Limits::body_rate_after},
    Limit{"keepAliveTimeout", &Limits::keep_alive_timeout},
    Limit{"writeTimeout", &Limits::write_timeout},
    Limit{"queueTimeout", &Limits::queue_timeout},
    Limit{"maxWait", &Limits::max_wait},
    Limit{"connectTimeout", &Limits::connect_timeout},
    Limit{"responseHeaderTimeout", &Limits::response_header_timeout},
    Limit{"probeTimeout", &Limits::probe_timeout},
    Limit{"shutdownGrace", &Limits::shutdown_grace},
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
    const auto duration = to_duration(value);
    if (!duration) {
        return duration.error();
    }
    return static_cast<std::uint64_t>(duration->count());
}

void set(Limits& target, const Limit& limit, std::uint64_t value) {
    if (const auto* size = std::get_if<std::size_t Limits::*>(&limit.member)) {
        target.** size = static_cast<std::size_t>(value);
    } else if (const auto* number =
                   std::get_if<std::optional<std::size_t> Limits::*>(&limit.member)) {
        target.** number = static_cast<std::size_t>(value);
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
    const Key* key = find_key(limit_keys(), limit.name);
    const auto least = static_cast<std::uint64_t>(key->traits.least);
    const auto most = static_cast<std::uint64_t>(key->traits.most);
    if (*number < least || *number > most) {
        const auto show = [&](std::uint64_t n) {
            return is_time ? format_duration(milliseconds(static_cast<std::int64_t>(n)))
                           : std::to_string(n);
        };
        loading.report.error(node.mark, path + " is out of range: " + show(*number),
                             "from " + show(least) + " to " + show(most));
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
        const std::string other_name = snake_case(limit.name);
        const Node* value = node->find(limit.name);
        const Node* other = other_name != limit.name ? node->find(other_name) : nullptr;
        if (value != nullptr && other != nullptr) {
            loading.report.error(other->mark,
                                 "limits." + other_name + " and limits." + std::string(limit.name) +
                                     " are one limit",
                                 "remove one of them");
        } else if (value != nullptr || other != nullptr) {
            read_limit(loading, reader, limit, value != nullptr ? *value : *other);
        }
    }
}

}  // namespace corral::load
