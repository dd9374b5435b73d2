// The part of head_rules.hpp that runs while a head arrives, and the form of a host.
#include "proxy/http/byte_search.hpp"
#include "proxy/http/error_body.hpp"
#include "proxy/http/head_rules.hpp"
#include "proxy/http/http_chars.hpp"
#include "proxy/http/start_line.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cassert>
#include <cstring>
#include <utility>

namespace corral::http {
namespace {

Error unclean_answer(const std::string& why) {
    return {Errc::upstream_malformed, Blame::upstream, "the answer's head: " + why};
}

}  // namespace

HeadScanner::HeadScanner(const Limits& limits, HeadOf of) noexcept
    : bytes_max_(limits.head_bytes_max),
      line_max_(limits.head_line_bytes_max),
      fields_max_(limits.head_fields_max),
      of_(of) {}

void HeadScanner::restart() noexcept {
    at_ = line_begin_ = lines_ = 0;
    skipped_empty_line_ = false;
    verdict_.reset();
}

void HeadScanner::refuse(std::string reason) {
    verdict_ =
        HeadScan{HeadScan::State::refused, 0,
                 of_ == HeadOf::request ? Error(Errc::bad_request, Blame::client, std::move(reason))
                                        : unclean_answer(reason)};
}

void HeadScanner::too_large(std::string what) {
    auto error = of_ == HeadOf::response ? unclean_answer(what)
                 : lines_ == 0           ? http::refuse(HttpStatus::uri_too_long, std::move(what))
                               : Error(Errc::head_too_large, Blame::client, std::move(what));
    verdict_ = HeadScan{HeadScan::State::refused, 0, std::move(error)};
}

void HeadScanner::end_empty_line() {
    if (lines_ > 0) {
        verdict_ = HeadScan{HeadScan::State::complete, at_, std::nullopt};
    } else if (skipped_empty_line_ || of_ == HeadOf::response) {
        refuse("it begins with empty lines");
    } else {
        skipped_empty_line_ = true;
    }
}

void HeadScanner::count_line(std::string_view line) {
    ++lines_;
    if (lines_ == 1) {
        check_start_line(line);
    } else if (lines_ > fields_max_ + 1) {
        too_large("more than " + std::to_string(fields_max_) + " header fields");
    }
}

void HeadScanner::check_start_line(std::string_view line) {
    const auto take = [this](const auto& read) {
        if (!read) {
            verdict_ = HeadScan{HeadScan::State::refused, 0, read.error()};
        }
    };
    of_ == HeadOf::request ? take(read_request_line(line)) : take(read_status_line(line));
}

HeadScan HeadScanner::scan(std::string_view bytes) {
    if (!verdict_ && of_ == HeadOf::response && lines_ == 0 && !can_begin_status_line(bytes)) {
        refuse("it does not start with HTTP/1.x");
    }
    while (!verdict_ && at_ < bytes.size()) {
        // A CR is looked at together with the byte behind it: whatever comes there must be LF.
        const bool after_return = at_ > line_begin_ && bytes[at_ - 1] == '\r';
        const bool folded = at_ == line_begin_ && (bytes[at_] == ' ' || bytes[at_] == '\t');
        const auto end = std::min({bytes.size(), bytes_max_, line_begin_ + line_max_ + 2});
        if (!after_return && !folded && at_ < end) {
            at_ += find_byte(bytes.substr(at_, end - at_), is_unclean);
            if (at_ > line_begin_ && at_ + 2 <= end && bytes.substr(at_, 2) == "\r\n") {
                count_line(bytes.substr(line_begin_, at_ - line_begin_));
                at_ += 2;
                line_begin_ = at_;
                continue;
            }
        }
        if (at_ < bytes.size()) {
            scan_byte(bytes);
        }
    }
    return verdict_ ? *verdict_ : HeadScan{};
}

/// The first byte of a line, the end of one, or a byte that must not be there.
void HeadScanner::scan_byte(std::string_view bytes) {
    const auto c = static_cast<unsigned char>(bytes[at_]);
    const bool after_return = at_ > line_begin_ && bytes[at_ - 1] == '\r';
    if (at_ >= bytes_max_) {
        return too_large("longer than " + std::to_string(bytes_max_) + " bytes");
    }
    if (at_ - line_begin_ >= line_max_ + 2) {
        return too_large("a line is longer than " + std::to_string(line_max_) + " bytes");
    }
    if (c == '\n') {
        if (!after_return) {
            return refuse("a line ends without a carriage return (RFC 9112 section 2.2)");
        }
        ++at_;
        const auto line = bytes.substr(line_begin_, at_ - 2 - line_begin_);
        line.empty() ? end_empty_line() : count_line(line);
        line_begin_ = at_;
        return;
    }
    if (after_return) {
        return refuse("a carriage return stands alone (RFC 9112 section 2.2)");
    }
    if (at_ == line_begin_ && (c == ' ' || c == '\t')) {
        return refuse(
            "a line begins with a space; folded lines are not accepted (RFC 9112 section 5.2)");
    }
    if (c != '\r' && !chars::field_value[c]) {
        return refuse("it has a control character");
    }
    ++at_;
}

CleanHead HeadScanner::clean(std::string_view bytes) const noexcept {
    assert(verdict_ && verdict_->state == HeadScan::State::complete);
    return CleanHead(bytes.substr(0, at_));
}

HeadScan scan_head(std::string_view bytes, const Limits& limits, HeadOf of) {
    return HeadScanner(limits, of).scan(bytes);
}

bool is_valid_host(std::string_view host) noexcept {
    std::string_view port;
    if (host.starts_with('[')) {
        const auto end = host.find(']');
        std::array<char, INET6_ADDRSTRLEN + 1> literal{};
        if (end == std::string_view::npos || end - 1 >= literal.size()) {
            return false;
        }
        std::memcpy(literal.data(), host.data() + 1, end - 1);
        in6_addr ignored{};
        if (::inet_pton(AF_INET6, literal.data(), &ignored) != 1) {
            return false;
        }
        port = host.substr(end + 1);
    } else {
        const auto colon = host.find(':');
        const auto name = host.substr(0, colon);
        const bool empty_label = name.starts_with('.') || name.find("..") != std::string_view::npos;
        if (name.empty() || name.size() > 255 || empty_label ||
            !chars::all_of(name, chars::host_name)) {
            return false;
        }
        port = colon == std::string_view::npos ? std::string_view{} : host.substr(colon);
    }
    if (port.empty() || port == ":") {
        return true;
    }
    const auto number = port.front() == ':' ? chars::decimal(port.substr(1)) : std::nullopt;
    return number && port.size() <= 6 && *number <= 65535;
}

}  // namespace corral::http
