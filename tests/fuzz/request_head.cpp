// A request head has one reading: it is the same cut anywhere, what is accepted can be written and
// read back as itself, what is forwarded carries no second framing, and to write it once more
// changes nothing.

#include "proxy/http/head_rules.hpp"
#include "proxy/http/header_edit.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace corral;
using namespace corral::http;

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void check_scan(std::string_view text, const Limits& limits) {
    const auto whole = scan_head(text, limits);
    HeadScanner slow(limits);
    HeadScan last;
    for (std::size_t n = 0; n <= text.size() && last.state == HeadScan::State::need_more; ++n) {
        last = slow.scan(text.substr(0, n));
    }
    require(last.state == whole.state && last.bytes == whole.bytes);
    require(last.error.has_value() == (last.state == HeadScan::State::refused));
}

void check_forwarded(const RequestHead& head) {
    RequestEdit edit;
    edit.framing = head.framing;
    const Sender sender{"192.0.2.1", "192.0.2.1"};
    edit.sender = &sender;
    const auto sent = serialize_request_head(head, edit);
    require(sent.has_value());
    if (head.host.empty()) {
        return;  // HTTP/1.0 without Host: we would not accept it as 1.1
    }
    Limits wide;
    wide.head_bytes_max = 1 << 20;
    wide.head_line_bytes_max = 1 << 20;
    wide.head_fields_max = 1000;
    const auto again = parse_request_head(*sent, wide);
    require(again.has_value());
    require(again->method == head.method && again->target == head.target);
    require(again->host == head.host && again->upgrade.empty() && !again->offers_http2);
    require(again->framing.kind == head.framing.kind || head.framing.kind == BodyKind::none);
    require(again->framing.length == head.framing.length);
    require(again->fields.count("connection") == 0 && again->fields.count("expect") == 0);
    require(again->fields.count("upgrade") == 0 && again->fields.count("host") == 1);
    RequestEdit unchanged;
    unchanged.framing = again->framing;
    const auto canonical = serialize_request_head(*again, unchanged);
    unchanged.framing = parse_request_head(*canonical, wide)->framing;
    require(
        serialize_request_head(parse_request_head(*canonical, wide).value(), unchanged).value() ==
        *canonical);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    Limits limits;
    limits.head_bytes_max = 2048;
    limits.head_line_bytes_max = 512;
    limits.head_fields_max = 20;
    check_scan(text, limits);
    const auto strict = parse_request_head(text, limits);
    const auto head = parse_request_head(text, limits, H2cUpgrade::ignore);
    require(strict.has_value() == (head.has_value() && !head->offers_http2));
    if (head) {
        require(scan_head(text, limits).bytes == text.size());
        require(head->target.starts_with('/') || head->target == "*");
        require(head->framing.kind != BodyKind::until_close);
        require(head->framing.length < 1ULL << 53U);
        require(!(head->fields.count("content-length") > 0 &&
                  head->fields.count("transfer-encoding") > 0));
        require((", " + head->upgrade).find(", h2c") == std::string::npos);
        check_forwarded(*head);
    }
    return 0;
}
