#include "proxy/http/header_edit.hpp"

#include "core/ip_range.hpp"
#include "proxy/http/date_clock.hpp"
#include "proxy/http/error_body.hpp"
#include "proxy/http/http_chars.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace corral::http {
namespace {

constexpr std::string_view separator = ": ";
constexpr std::string_view line_end = "\r\n";
constexpr std::size_t usual_additions = 512;  ///< start line and the fields that we make

/// Writes one head. Errors are remembered and come out at the end.
class HeadWriter {
public:
    explicit HeadWriter(std::size_t expected) { text_.reserve(expected); }

    void start(std::string_view first, std::string_view second, std::string_view third) {
        text_.append(first).append(" ").append(second).append(" ").append(third).append(line_end);
    }
    /// A field that was checked when it came in.
    void copy(std::string_view name, std::string_view value) {
        text_.append(name).append(separator).append(value).append(line_end);
    }
    /// Fields that came as they leave.
    void copy(std::string_view lines) { text_.append(lines); }
    /// A field that we make.
    void put(std::string_view name, std::string_view value) {
        if (const auto checked = checked_value(name, value)) {
            copy(name, *checked);
        } else if (!error_) {
            error_ = checked.error();
        }
    }
    [[nodiscard]] Result<std::string> finish() {
        if (error_) {
            return *std::move(error_);
        }
        text_ += "\r\n";
        return std::move(text_);
    }

private:
    std::string text_;
    std::optional<Error> error_;
};

bool is_one_of(std::string_view name, std::span<const std::string_view> names) noexcept {
    return std::any_of(names.begin(), names.end(), [&](std::string_view each) {
        return name.size() == each.size() && equals_no_case(name, each);
    });
}

bool is_set(std::string_view name, std::span<const Field> set) noexcept {
    return std::any_of(set.begin(), set.end(),
                       [&](const Field& each) { return equals_no_case(name, each.name); });
}

/// Fields that concern one connection only, and those that say how a message is framed.
constexpr std::array<std::string_view, 13> hop_by_hop{
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-authentication-info",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "http2-settings",
    "expect",
};

constexpr std::string_view forwarded_prefix = "x-forwarded-";
constexpr std::string_view cors_prefix = "access-control-";
constexpr std::string_view own_cookies = "corral";
constexpr std::string_view request_id_name = "x-request-id";
/// What pages of other origins may read of an answer besides the usual fields.
constexpr std::string_view exposed = "X-Request-Id, Retry-After, Location, Content-Disposition";

bool begins_no_case(std::string_view text, std::string_view prefix) noexcept {
    return text.size() >= prefix.size() && equals_no_case(text.substr(0, prefix.size()), prefix);
}

/// The same for names, for servers that take `_` for `-` (CGI and its heirs).
bool begins_alike(std::string_view name, std::string_view prefix) noexcept {
    if (name.size() < prefix.size()) {
        return false;
    }
    for (std::size_t i = 0; i < prefix.size(); ++i) {
        const char c = name[i] == '_' ? '-' : chars::to_lower(name[i]);
        if (c != prefix[i]) {
            return false;
        }
    }
    return true;
}

/// A bit for a name's length and first letter: most names are told apart by it alone.
constexpr std::uint64_t mark_of(std::string_view name) noexcept {
    const char first = name.empty() ? '\0' : chars::to_lower(name.front());
    return 1ULL << ((name.size() * 7 + static_cast<unsigned char>(first)) % 64);
}

constexpr std::uint64_t marks_of(std::span<const std::string_view> names) noexcept {
    std::uint64_t out = 0;
    for (const auto name : names) {
        out |= mark_of(name);
    }
    return out;
}

/// The fields of a head that do not leave: hop-by-hop ones, those that Connection names (they are
/// for the next hop only), those to be dropped and those that are set anew.
class Excluded {
public:
    Excluded(const Fields& fields, std::span<const std::string_view> drop,
             std::span<const Field> set, std::span<const std::string_view> ours,
             std::string_view prefix)
        : drop_(drop), set_(set), ours_(ours), prefix_(prefix) {
        constexpr std::uint64_t always = marks_of(hop_by_hop);
        marks_ = always | marks_of(drop) | marks_of(ours);
        for (const Field& field : set) {
            marks_ |= mark_of(field.name);
        }
        for (const Field field : fields) {
            if (equals_no_case(field.name, "connection")) {
                add_nominated(field.value);
            }
        }
    }
    [[nodiscard]] bool has(std::string_view name) const noexcept {
        return has_prefix(name) ||
               ((marks_ & mark_of(name)) != 0 &&
                (is_hop_by_hop(name) || is_one_of(name, nominated_) || is_one_of(name, drop_) ||
                 is_set(name, set_) || is_one_of(name, ours_)));
    }

private:
    [[nodiscard]] bool has_prefix(std::string_view name) const noexcept {
        return !prefix_.empty() && begins_alike(name, prefix_);
    }
    void add_nominated(std::string_view list) {
        while (const auto option = next_element(list)) {
            if (!equals_no_case(*option, "close") && !equals_no_case(*option, "keep-alive")) {
                nominated_.push_back(*option);
                marks_ |= mark_of(*option);
            }
        }
    }

    std::uint64_t marks_ = 0;
    std::vector<std::string_view> nominated_;
    std::span<const std::string_view> drop_;
    std::span<const Field> set_;
    std::span<const std::string_view> ours_;
    std::string_view prefix_;  ///< of names, all of which are left out; empty: none
};

/// Copies the fields that stay, neighbours in one go.
void copy_fields(HeadWriter& out, const Fields& fields, const Excluded& excluded) {
    std::string_view run;
    for (std::size_t i = 0; i < fields.size(); ++i) {
        const Field field = fields[i];
        if (excluded.has(field.name)) {
            continue;
        }
        const std::string_view line = fields.line(i);
        if (!line.empty() && run.data() + run.size() == line.data()) {
            run = {run.data(), run.size() + line.size()};
            continue;
        }
        out.copy(run);
        run = line;
        if (line.empty()) {
            out.copy(field.name, field.value);
        }
    }
    out.copy(run);
}

void put_framing(HeadWriter& out, const Framing& framing) {
    if (framing.kind == BodyKind::content_length) {
        out.put("Content-Length", std::to_string(framing.length));
    } else if (framing.kind == BodyKind::chunked) {
        out.put("Transfer-Encoding", "chunked");
    }
}

/// What X-Forwarded-For says already, if that is to be believed, and who connected.
std::string forwarded_for(const Fields& fields, const Sender& sender) {
    std::string out;
    const auto add = [&out](std::string_view value) {
        out.append(out.empty() || value.empty() ? "" : ", ").append(value);
    };
    for (const Field field : fields) {
        if (sender.trusted && equals_no_case(field.name, "x-forwarded-for")) {
            add(field.value);
        }
    }
    if (parse_ip(sender.address)) {
        add(sender.address);
    }
    return out;
}

/// Who asks, for the upstream's log and the links that it makes.
void put_sender(HeadWriter& out, const RequestHead& head, const Sender& sender) {
    const auto put_unless_kept = [&](std::string_view name, std::string_view value) {
        if (!value.empty() && (!sender.trusted || head.fields.count(name) == 0)) {
            out.put(name, value);
        }
    };
    if (const std::string value = forwarded_for(head.fields, sender); !value.empty()) {
        out.put("X-Forwarded-For", value);
    }
    put_unless_kept("X-Forwarded-Proto", sender.scheme);
    put_unless_kept("X-Forwarded-Host", head.host);
}

/// The client's cookies without those of Corral.
void put_cookies(HeadWriter& out, const Fields& fields) {
    std::string kept;
    for (const Field field : fields) {
        std::string_view list = equals_no_case(field.name, "cookie") ? field.value : "";
        while (!list.empty()) {
            const auto end = list.find(';');
            const auto cookie = chars::trim(list.substr(0, end));
            list.remove_prefix(end == std::string_view::npos ? list.size() : end + 1);
            if (!cookie.empty() && !begins_no_case(cookie, own_cookies)) {
                kept.append(kept.empty() ? "" : "; ").append(cookie);
            }
        }
    }
    if (!kept.empty()) {
        out.put("Cookie", kept);
    }
}

bool has_own_cookie(const Fields& fields) noexcept {
    for (const Field field : fields) {
        if (!equals_no_case(field.name, "cookie")) {
            continue;
        }
        for (std::size_t at = 0; at < field.value.size(); ++at) {
            if (begins_no_case(field.value.substr(at), own_cookies)) {
                return true;
            }
        }
    }
    return false;
}

/// The fields of a request that do not leave as they came, whatever the edit is about.
class WrittenAnew {
public:
    WrittenAnew(const RequestHead& head, const RequestEdit& edit) noexcept
        : believes_(edit.sender != nullptr && edit.sender->trusted) {
        add("host");
        if (believes_) {
            add("x-forwarded-for");
        } else {
            add("forwarded");
            add("x-real-ip");
        }
        if (!edit.request_id.empty()) {
            add(request_id_name);
        }
        has_cookies_ = !is_one_of("cookie", edit.drop) && has_own_cookie(head.fields);
        if (has_cookies_) {
            add("cookie");
        }
    }
    [[nodiscard]] std::span<const std::string_view> names() const noexcept {
        return std::span(names_).first(count_);
    }
    [[nodiscard]] std::string_view prefix() const noexcept {
        return believes_ ? std::string_view() : forwarded_prefix;
    }
    [[nodiscard]] bool has_cookies() const noexcept { return has_cookies_; }

private:
    void add(std::string_view name) noexcept { names_[count_++] = name; }

    std::array<std::string_view, 5> names_{};
    std::size_t count_ = 0;
    bool believes_;
    bool has_cookies_ = false;
};

bool expects_content(std::string_view method) noexcept {
    return method == "POST" || method == "PUT" || method == "PATCH";
}

void put_stream_fields(HeadWriter& out, const ResponseHead& head, const ResponseEdit& edit) {
    const auto absent = [&](std::string_view name) {
        return head.fields.count(name) == 0 && !is_set(name, edit.set);
    };
    const auto type = head.fields.find("content-type").value_or("");
    if (!equals_no_case(type.substr(0, 17), "text/event-stream")) {
        return;
    }
    if (absent("x-accel-buffering")) {
        out.put("X-Accel-Buffering", "no");
    }
    if (absent("cache-control")) {
        out.put("Cache-Control", "no-transform");
    }
}

void put_connection(HeadWriter& out, const ResponseHead& head, const ResponseEdit& edit) {
    if (edit.upgrade && head.status == 101) {
        out.put("Connection", "Upgrade");
        if (const auto protocol = head.fields.find("upgrade")) {
            out.put("Upgrade", *protocol);
        }
    } else if (!edit.keep_alive) {
        out.put("Connection", "close");
    } else if (edit.client_minor_version == 0) {
        out.put("Connection", "keep-alive");
    }
}

void put_stamp(HeadWriter& out, const ResponseHead& head, const AnswerStamp& stamp) {
    // RFC 9110 §6.6.1 has those who relay add it, too; interim answers go without.
    if (stamp.clock != nullptr && head.status >= 200 && head.fields.count("date") == 0) {
        out.copy("Date", stamp.clock->now());
    }
    if (!stamp.request_id.empty()) {
        out.put("X-Request-Id", stamp.request_id);
    }
    if (!stamp.reader.empty()) {
        out.put("Access-Control-Allow-Origin", stamp.reader);
        out.put("Access-Control-Expose-Headers", exposed);
    }
    if (stamp.varies && !head.fields.lists("vary", "origin")) {
        out.put("Vary", "Origin");
    }
}

std::string status_text(unsigned status) {
    return std::to_string(status);
}

void put_response_framing(HeadWriter& out, const ResponseHead& head, const ResponseEdit& edit) {
    if (head.status < 200 || head.status == 204) {
        return;
    }
    if (edit.framing.kind == BodyKind::none && head.declared_length) {
        put_framing(out, {BodyKind::content_length, *head.declared_length});
        return;
    }
    put_framing(out, edit.framing);
}

}  // namespace

Result<std::string_view> checked_value(std::string_view name, std::string_view value) {
    if (!chars::all_of(value, chars::field_value) || chars::trim(value).size() != value.size()) {
        return Error(Errc::internal, Blame::internal,
                     "the value for header " + std::string(name) +
                         " has a control character or a space at its end");
    }
    return value;
}

bool is_hop_by_hop(std::string_view name) noexcept {
    return is_one_of(name, hop_by_hop);
}

Result<std::string> serialize_request_head(const RequestHead& head, const RequestEdit& edit) {
    HeadWriter out(head.fields.bytes() + usual_additions);
    const auto target = edit.target.empty() ? std::string_view(head.target) : edit.target;
    if (!chars::is_token(head.method) || target.empty() || !chars::all_of(target, chars::target)) {
        return Error(Errc::internal, Blame::internal, "the request line cannot be written");
    }
    out.start(head.method, target, "HTTP/1.1");
    out.put("Host", edit.host.empty() ? std::string_view(head.host) : edit.host);
    const WrittenAnew anew(head, edit);
    copy_fields(out, head.fields,
                Excluded(head.fields, edit.drop, edit.set, anew.names(), anew.prefix()));
    if (head.fields.lists("te", "trailers")) {
        out.put("TE", "trailers");
    }
    if (anew.has_cookies()) {
        put_cookies(out, head.fields);
    }
    if (edit.sender != nullptr) {
        put_sender(out, head, *edit.sender);
    }
    if (!edit.request_id.empty()) {
        out.put("X-Request-Id", edit.request_id);
    }
    for (const Field& field : edit.set) {
        out.put(field.name, field.value);
    }
    if (edit.framing.kind == BodyKind::none && expects_content(head.method)) {
        out.put("Content-Length", "0");  // some servers read to the end of the connection without
    } else {
        put_framing(out, edit.framing);
    }
    if (edit.upgrade && !head.upgrade.empty()) {
        out.put("Connection", "Upgrade");
        out.put("Upgrade", head.upgrade);
    } else if (edit.close) {
        out.put("Connection", "close");
    }
    return out.finish();
}

Result<std::string> serialize_response_head(const ResponseHead& head, const ResponseEdit& edit) {
    HeadWriter out(head.fields.bytes() + usual_additions);
    const auto own = reason_phrase(static_cast<int>(head.status));
    out.start("HTTP/1.1", status_text(head.status),
              head.reason.empty() ? own : std::string_view(head.reason));
    static constexpr std::array ours{request_id_name};
    const auto stamped = std::span(ours).first(edit.stamp.request_id.empty() ? 0 : 1);
    copy_fields(out, head.fields, Excluded(head.fields, edit.drop, edit.set, stamped, cors_prefix));
    put_stream_fields(out, head, edit);
    put_stamp(out, head, edit.stamp);
    for (const Field& field : edit.set) {
        out.put(field.name, field.value);
    }
    put_response_framing(out, head, edit);
    put_connection(out, head, edit);
    return out.finish();
}

Result<std::string> serialize_answer_head(int status, std::string_view content_type,
                                          std::uint64_t body_bytes, const ResponseEdit& edit) {
    ResponseHead head;
    head.status = static_cast<unsigned>(status);
    if (!content_type.empty()) {
        head.fields.add("Content-Type", content_type);
    }
    if (auto checked = checked_value("Content-Type", content_type); !checked) {
        return std::move(checked).error();
    }
    ResponseEdit own = edit;
    if (own.framing.kind == BodyKind::none) {
        own.framing = {BodyKind::content_length, body_bytes};
    }
    return serialize_response_head(head, own);
}

}  // namespace corral::http
