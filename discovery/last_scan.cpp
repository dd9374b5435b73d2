// Keeping a scan and giving it again; see last_scan.hpp. The file is a line that says what it is,
// then values in one order: numbers as `<digits> `, texts as `<bytes> <text>`.

#include "discovery/last_scan.hpp"

#include "discovery/fingerprint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <type_traits>
#include <utility>

namespace corral {

namespace {

constexpr std::string_view last_scan_head = "corral_last_scan 2\n";

class ValueWriter {
public:
    explicit ValueWriter(std::string& out) : out_(out) {}
    void operator()(std::uint64_t value) { fmt::format_to(std::back_inserter(out_), "{} ", value); }
    void operator()(const std::string& text) {
        (*this)(std::uint64_t{text.size()});
        out_ += text;
    }
    template <class T>
    void list(const std::vector<T>& items) {
        (*this)(std::uint64_t{items.size()});
        for (const T& item : items) {
            visit_values(*this, item);
        }
    }

private:
    std::string& out_;
};

/// After a value that is not there everything is empty; see is_whole().
class ValueReader {
public:
    explicit ValueReader(std::string_view text) : rest_(text) {}
    void operator()(std::uint64_t& value) {
        const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
        const auto length = static_cast<std::size_t>(end - rest_.data());
        if (error != std::errc{} || length >= rest_.size() || rest_[length] != ' ') {
            value = 0;
            fail();
            return;
        }
        rest_.remove_prefix(length + 1);
    }
    void operator()(std::string& text) {
        std::uint64_t length = 0;
        (*this)(length);
        if (length > rest_.size()) {
            fail();
            return;
        }
        text = rest_.substr(0, length);
        rest_.remove_prefix(length);
    }
    template <class T>
    void list(std::vector<T>& items) {
        std::uint64_t count = 0;
        (*this)(count);
        for (; count > 0 && is_sound_; --count) {
            visit_values(*this, items.emplace_back());
        }
    }
    [[nodiscard]] bool is_whole() const { return is_sound_ && rest_.empty(); }

private:
    void fail() {
        is_sound_ = false;
        rest_ = {};
    }

    std::string_view rest_;
    bool is_sound_ = true;
};

/// The values of one thing in one order, for writing and for reading alike.
template <class Visitor, class T>
void visit_values(Visitor& visit, T& item) {
    using Plain = std::remove_const_t<T>;
    if constexpr (std::is_same_v<Plain, LastScan::Model>) {
        visit(item.id);
        visit.list(item.aliases);
        visit(item.path);
        visit.list(item.notes);
    } else if constexpr (std::is_same_v<Plain, LeftOut>) {
        visit(item.path);
        visit(item.reason);
    } else {
        visit(item);
    }
}

template <class Visitor, class T>
void visit_scan(Visitor& visit, T& last) {
    visit(last.question);
    visit(last.disk);
    visit.list(last.directories);
    visit.list(last.models);
    visit.list(last.left_out);
    visit(last.text);
}

bool is_blank(std::string_view text) {
    return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

}  // namespace

std::uint64_t fingerprint_of(const Discovery& discovery, const std::vector<Gpu>& gpus) {
    Fingerprint all;
    all.add(discovery.catalogue.files_fingerprint);
    for (const std::string& directory : discovery.directories) {
        all.add(directory);
    }
    for (const std::vector<LeftOut>* list :
         {&discovery.catalogue.left_out, &discovery.catalogue.failed_roots}) {
        for (const LeftOut& item : *list) {
            all.add(item.path);
            all.add(item.reason);
        }
        all.add(list->size());
    }
    for (const Gpu& gpu : gpus) {
        all.add(gpu.name);
        all.add(gpu.memory_bytes);
    }
    return all.value();
}

std::optional<LastScan> scan_to_keep(const Renewal& renewal, std::string_view existing) {
    const MergeReport& report = renewal.report;
    const bool is_printed = is_blank(existing);
    const bool is_settled = report.kept.empty() && report.deleted.empty() &&
                            report.absent.empty() && report.gone.empty() &&
                            report.returned.empty() && !renewal.has_own_models;
    if (!is_settled || existing.find("${env.") != std::string_view::npos) {
        return std::nullopt;
    }
    LastScan last;
    for (const WrittenModel& model : renewal.written.models) {
        last.models.push_back({model.id, model.aliases, model.path, model.notes});
    }
    last.left_out = renewal.written.left_out;
    if (is_printed) {
        last.text = renewal.written.yaml;
    }
    return last;
}

std::optional<Renewal> kept_renewal(const LastScan& last, const Discovery& discovery,
                                    std::string_view existing) {
    Renewal renewal;
    const std::vector<FoundModel>& found = discovery.catalogue.models;  // sorted by path
    for (const LastScan::Model& model : last.models) {
        const auto at = std::lower_bound(
            found.begin(), found.end(), model.path,
            [](const FoundModel& one, const std::string& path) { return one.path < path; });
        if (at == found.end() || at->path != model.path) {
            return std::nullopt;
        }
        renewal.written.models.push_back({model.id, model.aliases, model.path, &*at, model.notes});
        if (is_blank(existing)) {
            renewal.report.added.push_back(model.id);
        }
    }
    renewal.written.left_out = last.left_out;
    renewal.written.yaml = is_blank(existing) ? last.text : std::string(existing);
    return renewal;
}

std::optional<LastScan> parse_last_scan(std::string_view text) {
    if (!text.starts_with(last_scan_head)) {
        return std::nullopt;
    }
    LastScan last;
    ValueReader reader(text.substr(last_scan_head.size()));
    visit_scan(reader, last);
    return reader.is_whole() ? std::optional(std::move(last)) : std::nullopt;
}

std::string last_scan_text(const LastScan& last) {
    std::string out(last_scan_head);
    ValueWriter writer(out);
    visit_scan(writer, last);
    return out;
}

}  // namespace corral
