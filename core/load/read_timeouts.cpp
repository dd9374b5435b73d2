// `timeouts:` of models and peers.
#include "core/load/loading.hpp"

#include <algorithm>
#include <array>

namespace corral::load {
namespace {

using std::chrono::seconds;

struct Timeout {
    std::string_view name;
    seconds UpstreamTimeouts::*member;
};

constexpr std::array timeout_members{
    Timeout{"connect", &UpstreamTimeouts::connect},
    Timeout{"keepalive", &UpstreamTimeouts::keepalive},
    Timeout{"responseHeader", &UpstreamTimeouts::response_header},
    Timeout{"tlsHandshake", &UpstreamTimeouts::tls_handshake},
    Timeout{"expectContinue", &UpstreamTimeouts::expect_continue},
    Timeout{"idleConn", &UpstreamTimeouts::idle_conn},
};

}  // namespace

UpstreamTimeouts read_upstream_timeouts(Reader& reader, const Node& timeouts,
                                        const std::string& path, UpstreamTimeouts defaults) {
    for (const Timeout& timeout : timeout_members) {
        const Node* node = timeouts.find(timeout.name);
        const std::string place = path + "." + std::string(timeout.name);
        const auto value = node != nullptr ? reader.integer(*node, place) : std::nullopt;
        if (!value) {
            continue;
        }
        if (*value < 0) {
            reader.report().warn(node->mark,
                                 reader.place(place) + " is negative: there is no limit",
                                 "seconds; 0 for no limit");
        }
        defaults.*timeout.member = capped_seconds(std::max<std::int64_t>(*value, 0), node->mark,
                                                  reader.place(place), reader.report());
    }
    return defaults;
}

}  // namespace corral::load
