// What is kept and shown of what happens: logs, the activity and its store, captures, performance,
// the page. Whether a file can be written is for whoever opens it: this room looks at no disk.
#include "core/load/loading.hpp"
#include "core/quantity.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace corral::load {
namespace {

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return text;
}

void read_log_time_format(Loading& loading, Reader& reader) {
    constexpr std::array<std::string_view, 15> names{
        "ansic",       "unixdate", "rubydate",   "rfc822",     "rfc822z",
        "rfc850",      "rfc1123",  "rfc1123z",   "rfc3339",    "kitchen",
        "rfc3339nano", "stamp",    "stampmilli", "stampmicro", "stampnano"};
    const Node* node = loading.root.find("logTimeFormat");
    const auto text = node != nullptr ? reader.text(*node, "logTimeFormat") : std::nullopt;
    if (!text) {
        return;
    }
    const std::string name = lower(trimmed(*text));
    if (name.empty() || std::find(names.begin(), names.end(), name) != names.end()) {
        loading.config.log_time_format = name;
    } else {
        loading.report.warn(node->mark, "unknown logTimeFormat \"" + *text + "\": no time is shown",
                            "for example rfc3339, stampmilli, kitchen");
    }
}

void read_log_to_stdout(Loading& loading, Reader& reader) {
    constexpr std::array<std::string_view, 4> names{"proxy", "upstream", "both", "none"};
    const Node* node = loading.root.find("logToStdout");
    const auto text = node != nullptr ? reader.text(*node, "logToStdout") : std::nullopt;
    if (!text) {
        return;
    }
    const auto at = std::find(names.begin(), names.end(), *text);
    if (at == names.end()) {
        loading.report.error(node->mark, "logToStdout must be one of: proxy, upstream, both, none");
    } else {
        loading.config.log_to_stdout = static_cast<LogToStdout>(at - names.begin());
    }
}

/// A number of `logs:` within the bounds of its key.
std::optional<std::size_t> bounded(Loading& loading, const Node& node, std::string_view name,
                                   const Result<std::uint64_t>& number) {
    const std::string path = "logs." + std::string(name);
    const Key* logs = find_key(top_level_keys(), "logs");
    const Traits& traits = find_key(logs->members(), name)->traits;
    if (!number) {
        loading.report.error(node.mark, path + ": " + number.error().detail);
    } else if (*number < static_cast<std::uint64_t>(traits.least) ||
               *number > static_cast<std::uint64_t>(traits.most)) {
        loading.report.error(
            node.mark, path + " is out of range: " + std::to_string(*number),
            "from " + std::to_string(traits.least) + " to " + std::to_string(traits.most));
    } else {
        return static_cast<std::size_t>(*number);
    }
    return std::nullopt;
}

void read_logs(Loading& loading, Reader& reader) {
    LogsConfig& logs = loading.config.logs;
    if (const Node* node = node_at(loading.root, {"logs", "directory"})) {
        logs.directory = reader.text(*node, "logs.directory").value_or("");
    }
    if (const Node* node = node_at(loading.root, {"logs", "journal"})) {
        logs.journal = reader.boolean(*node, "logs.journal").value_or(false);
    }
    if (const Node* node = node_at(loading.root, {"logs", "fileBytesMax"})) {
        if (const auto text = reader.text(*node, "logs.fileBytesMax")) {
            logs.file_bytes_max = bounded(loading, *node, "fileBytesMax", parse_size(*text))
                                      .value_or(logs.file_bytes_max);
        }
    }
    if (const Node* node = node_at(loading.root, {"logs", "filesMax"})) {
        if (const auto number = reader.integer(*node, "logs.filesMax")) {
            const auto count = static_cast<std::uint64_t>(std::max<std::int64_t>(*number, 0));
            logs.files_max = bounded(loading, *node, "filesMax", count).value_or(logs.files_max);
        }
    }
}

void read_activity(Loading& loading, Reader& reader) {
    const Node* rows = loading.root.find("metricsMaxInMemory");
    const auto most = rows != nullptr ? reader.integer(*rows, "metricsMaxInMemory") : std::nullopt;
    if (most && *most > 0) {
        loading.config.activity_rows_max = static_cast<std::size_t>(*most);
    } else if (most) {
        loading.report.warn(rows->mark, "metricsMaxInMemory " + std::to_string(*most) +
                                            " is not a number of rows: 1000 is used");
    }
    const Node* store = loading.root.find("store");
    if (store == nullptr || !store->is_map()) {
        return;
    }
    const Node* path = store->find("path");
    const auto text = path != nullptr && !path->is_null() ? reader.text(*path, "store.path")
                                                          : std::optional<std::string>("");
    if (text && trimmed(*text).empty()) {
        loading.report.error(store->mark, "store.path must not be empty",
                             "the file of a database, or no `store:` at all");
    } else if (text) {
        loading.config.store_path = *text;
    }
}

void read_capture_buffer(Loading& loading, Reader& reader) {
    constexpr std::int64_t mebibyte = 1 << 20;
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max() / mebibyte;
    const Node* node = loading.root.find("captureBuffer");
    const auto size = node != nullptr ? reader.integer(*node, "captureBuffer") : std::nullopt;
    if (!size) {
        return;
    }
    if (*size < 0) {
        loading.report.warn(node->mark, "captureBuffer is negative: nothing is captured",
                            "megabytes; 0 for no captures");
    }
    const auto bytes = std::clamp<std::int64_t>(*size, 0, most) * mebibyte;
    loading.config.capture_bytes_max = static_cast<std::size_t>(bytes);
}

void read_performance_every(Loading& loading, Reader& reader, const Node& node) {
    constexpr std::chrono::seconds least{5};
    const auto value = node.is_scalar() ? reader.scalar(node, "performance.every") : Value();
    if (!value || std::holds_alternative<std::monostate>(*value)) {
        if (!node.is_null() && !node.is_scalar()) {
            reader.type_error(node, "performance.every", "time.Duration (a text such as 15s)");
        }
        return;
    }
    const auto* text = std::get_if<std::string>(&*value);
    const auto every = parse_duration(text == nullptr          ? ""
                                      : text->starts_with('-') ? text->substr(1)
                                                               : *text);
    if (!every) {
        reader.type_error(node, "performance.every", "time.Duration (a text such as 15s)");
    } else if (every->count() != 0 && (*every < least || text->starts_with('-'))) {
        loading.report.error(node.mark, "performance: every must be at least 5s, got " + *text);
    } else if (every->count() != 0) {
        loading.config.performance_every = *every;
    }
}

void read_performance(Loading& loading, Reader& reader) {
    if (const Node* node = node_at(loading.root, {"performance", "disabled"})) {
        loading.config.performance_disabled =
            reader.boolean(*node, "performance.disabled").value_or(false);
    }
    if (const Node* node = node_at(loading.root, {"performance", "every"})) {
        read_performance_every(loading, reader, *node);
    }
}

void read_session_id_fields(Loading& loading, Reader& reader) {
    const Node* node = node_at(loading.root, {"ui", "activity", "session_id"});
    const auto names =
        node != nullptr ? reader.texts(*node, "ui.activity.session_id") : std::nullopt;
    if (!names) {
        return;
    }
    std::vector<std::string> seen;
    loading.config.session_id_fields.clear();
    for (const auto& [text, mark] : *names) {
        const std::string name = trimmed(text);
        if (!name.empty() && std::find(seen.begin(), seen.end(), lower(name)) == seen.end()) {
            seen.push_back(lower(name));
            loading.config.session_id_fields.push_back(name);
        }
    }
}

}  // namespace

void read_records(Loading& loading) {
    Reader reader = loading.reader();
    read_log_time_format(loading, reader);
    read_log_to_stdout(loading, reader);
    read_logs(loading, reader);
    read_activity(loading, reader);
    read_capture_buffer(loading, reader);
    read_performance(loading, reader);
    read_session_id_fields(loading, reader);
}

}  // namespace corral::load
