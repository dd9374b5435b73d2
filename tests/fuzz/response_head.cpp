// An upstream's head is clean or refused, wherever it is cut; what is passed on is read back with
// the same framing, and to write it once more changes nothing.

#include "proxy/http/head_rules.hpp"
#include "proxy/http/header_edit.hpp"

#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace corral;
using namespace corral::http;

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void check_scan(std::string_view text) {
    const auto whole = scan_head(text, {}, HeadOf::response);
    HeadScanner slow({}, HeadOf::response);
    HeadScan last;
    for (std::size_t n = 0; n <= text.size() && last.state == HeadScan::State::need_more; ++n) {
        last = slow.scan(text.substr(0, n));
    }
    require(last.state == whole.state && last.bytes == whole.bytes);
}

void check(std::string_view text, const ResponseContext& context) {
    const auto head = parse_response_head(text, context, {});
    if (!head) {
        require(head.error().is(Errc::upstream_malformed));
        return;
    }
    require(head->status >= 100 && head->status <= 599);
    require(head->status != 101 || !context.upgrade.empty());
    ResponseEdit edit;
    edit.framing = head->framing;
    edit.upgrade = head->status == 101;
    const auto sent = serialize_response_head(*head, edit);
    require(sent.has_value());
    Limits wide;
    wide.head_bytes_max = 1 << 20;
    wide.head_line_bytes_max = 1 << 20;
    wide.head_fields_max = 1000;
    const auto again = parse_response_head(*sent, context, wide);
    require(again.has_value());
    require(again->status == head->status && again->framing == head->framing);
    require(serialize_response_head(*again, edit).value() == *sent);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    check_scan(text.substr(0, 4096));
    check(text, {"GET", {}});
    check(text, {"HEAD", {}});
    check(text, {"GET", "websocket, x/1"});
    return 0;
}
