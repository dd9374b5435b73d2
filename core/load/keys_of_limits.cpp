// The table of keys: `limits:`, Corral's own block. The bounds keep a slip of the pen from locking
// everybody out.
#include "core/load/keys.hpp"

#include <array>

namespace corral::load {
namespace {

using enum Shape;

constexpr std::int64_t kib = 1024;
constexpr std::int64_t gib = kib * kib * kib;
constexpr std::int64_t century = 100LL * 365 * 24 * 3600 * 1000;

constexpr std::array of_limits{
    Key{"headBytesMax", size, "32KiB", "the head of a request or an answer",
        Traits{.least = kib, .most = gib / 4}},
    Key{"headLineBytesMax", size, "16KiB", "one line of it", Traits{.least = 256, .most = gib / 4}},
    Key{"headFieldsMax", integer, "100", "the number of its fields",
        Traits{.least = 8, .most = 100'000}},
    Key{"bodyBuffered", size, "64MiB", "what is held of one request until its model is known",
        Traits{.least = kib, .most = 1024 * gib}},
    Key{"bodyBufferedTotal", size, "512MiB", "the same over all requests",
        Traits{.least = kib, .most = 1024 * gib}},
    Key{"connections", integer, "10000", "clients at once", Traits{.least = 1, .most = 1'000'000}},
    Key{"connectionsPerPeer", integer, "",
        "of them from one address that is none of `trustedProxies`; 0: no limit",
        Traits{.least = 0,
               .most = 1'000'000,
               .otherwise = "1000 of another machine, any number of this one"}},
    Key{"waitingPerModel", integer, "1000", "requests that wait for one model",
        Traits{.least = 1, .most = 1'000'000}},
    Key{"headTimeout", span, "10s",
        "from the first byte of a head to its end; from the connection to its first byte; for the "
        "TLS handshake",
        Traits{.least = 1, .most = century}},
    Key{"bodyIdleTimeout", span, "10s", "between two pieces of a request's body",
        Traits{.least = 1, .most = century}},
    Key{"bodyRateMin", size, "1kB",
        "a second, on average, of a request's body; `0`: no limit. Only the time that Corral waits "
        "for the client counts",
        Traits{.least = 0, .most = gib}},
    Key{"bodyRateAfter", span, "30s", "from when on that rate is asked for",
        Traits{.least = 0, .most = century}},
    Key{"keepAliveTimeout", span, "75s", "between two requests of a client",
        Traits{.least = 1, .most = century}},
    Key{"writeTimeout", span, "60s", "a client that takes no byte",
        Traits{.least = 1, .most = century}},
    Key{"queueTimeout", span, "1h", "a request that waits for its model",
        Traits{.least = 1, .most = century}},
    Key{"maxWait", span, "30s",
        "how long requests for running models may overtake one that waits for their place",
        Traits{.least = 1, .most = century}},
    Key{"connectTimeout", span, "30s", "connecting to a model",
        Traits{.least = 1, .most = century}},
    Key{"responseHeaderTimeout", span, "0",
        "from the end of a request to the head of its answer, for models and peers whose own "
        "`timeouts.responseHeader` is 0; 0: no limit",
        Traits{.least = 0, .most = century}},
    Key{"probeTimeout", span, "2s", "one look whether a model is ready",
        Traits{.least = 1, .most = century}},
    Key{"shutdownGrace", span, "30s", "running requests when Corral stops",
        Traits{.least = 0, .most = century}},
};

}  // namespace

std::span<const Key> limit_keys() noexcept {
    return of_limits;
}

}  // namespace corral::load
