#pragma once
// What follows a 101: the two connections joined, bytes both ways. Knows nothing of what is spoken
// there. Holds no buffer while nothing comes, and no idle time ends it. Main loop only.

#include "core/config.hpp"
#include "proxy/http/head_rules.hpp"
#include "proxy/http/wire.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace corral::http {

/// True for a WebSocket that this model's config says to ignore (compat.ignoreWebsockets): it stays
/// open for days and is no work.
[[nodiscard]] bool is_ignored(const RequestHead& head, const ModelConfig& model) noexcept;

/// Who ended a tunnel first.
enum class TunnelEnd : std::uint8_t {
    none,      ///< it goes on
    client,    ///< closed or broke, or took nothing for too long
    upstream,  ///< closed or broke
    corral,    ///< its model was told to go, or the program ends
};

struct TunnelOutcome {
    std::uint64_t to_client = 0;    ///< bytes
    std::uint64_t to_upstream = 0;  ///< bytes
    TunnelEnd ended_by = TunnelEnd::none;
};

/// Carries bytes both ways until both sides have ended or one has failed; what was read together
/// with the heads is carried first. The end of one side is passed on and the other may go on; a
/// failure of one side is one for the other, too (RST). When `told_to_go` completes, the upstream
/// sees its client leave and gets a moment for last words. Both wires are closed at the end. What
/// is borrowed stands in the exchange's frame, which outlives the call.
[[nodiscard]] asio::awaitable<void> run_tunnel(Wire& upstream, Wire& client, const Limits& limits,
                                               asio::awaitable<void> told_to_go,
                                               TunnelOutcome& out);
/// The same where nothing tells it to go.
[[nodiscard]] asio::awaitable<void> run_tunnel(Wire& upstream, Wire& client, const Limits& limits,
                                               TunnelOutcome& out);

/// What a log line says of it besides the bytes to the client: ` bytes_in=7 ended_by=client`.
[[nodiscard]] std::string log_fields(const TunnelOutcome& outcome);

}  // namespace corral::http
