// The exchange with another server: no lease, no start, its own key instead of the client's.
#include "proxy/http/exchange.hpp"
#include "proxy/http/tunnel.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <array>
#include <utility>

namespace corral::http {
namespace {

using namespace asio::experimental::awaitable_operators;

constexpr std::size_t idle_per_peer_max = 64;

/// The Host that the peer expects: as a client of its own would send it.
std::string host_field(const Endpoint& endpoint) {
    const std::string authority = endpoint.authority();
    const std::string_view usual = endpoint.tls ? ":443" : ":80";
    return authority.ends_with(usual) ? authority.substr(0, authority.size() - usual.size())
                                      : authority;
}

/// Whose idle connections fit: those to this address, by the name that a certificate has to prove.
PoolKey pool_key(const Endpoint& endpoint) {
    if (!endpoint.unix_path.empty()) {
        return PoolKey("unix://" + endpoint.unix_path);
    }
    return PoolKey((endpoint.tls ? "https://" : "http://") + endpoint.authority());
}

/// Others ask it, too, so that a connection may be of use for long.
PoolRule pool_rule(const UpstreamTimeouts& timeouts) {
    PoolRule rule;
    rule.idle_max = idle_per_peer_max;
    rule.idle_for = timeouts.idle_conn > std::chrono::seconds(0) ? Duration(timeouts.idle_conn)
                                                                 : Duration::max();
    rule.watched = true;
    return rule;
}

/// An error of the peer in the words that llama-swap has for it.
Error told(const Error& error, const PeerConfig& peer) {
    Error out = error;
    out.detail = "peer proxy error: " + peer.id + ": " + error.detail;
    if (!out.is(Errc::timed_out)) {
        out.code = make_error_code(Errc::upstream_unreachable);
    }
    out.blame = Blame::upstream;
    return out;
}

/// What the client authenticates with is between it and us, or it and one peer: where a key of ours
/// or the peer's own takes its place, nothing of it leaves.
constexpr std::array<std::string_view, 4> private_fields{"expect", "authorization", "x-api-key",
                                                         "cookie"};

/// A shutdown waits for what a peer answers as for what a model does.
class AtPeer {
public:
    explicit AtPeer(SessionContext& context) noexcept : context_(context) { ++context.at_peers; }
    ~AtPeer() {
        if (--context_.at_peers == 0) {
            context_.peers_served.notify_all();
        }
    }
    AtPeer(const AtPeer&) = delete;
    AtPeer& operator=(const AtPeer&) = delete;

private:
    SessionContext& context_;
};

}  // namespace

bool Exchange::write_head(const PeerConfig& peer, const Endpoint& endpoint,
                          const std::string& target) {
    const std::string path = endpoint.base_path + target;
    const std::string host = host_field(endpoint);
    const std::string bearer = "Bearer " + peer.api_key;
    const std::array<Field, 2> key{Field{"Authorization", bearer},
                                   Field{"x-api-key", peer.api_key}};
    RequestEdit edit = edit_for(path);
    edit.host = host;
    edit.sender = nullptr;  // who asks is no business of another server
    if (!config_->api_keys.empty() || !peer.api_key.empty()) {
        edit.drop = private_fields;
    }
    if (!peer.api_key.empty()) {
        edit.set = key;
    }
    return write_head(edit);
}

asio::awaitable<void> Exchange::run_on_peer(const PeerConfig& peer, std::string target) {
    const auto endpoint = parse_endpoint(peer.proxy);
    if (!endpoint) {
        out_.error = told(endpoint.error(), peer);
        co_return;
    }
    const bool prepared = co_await prepare_body(peer.filters, sent_name_);
    if (!prepared) {
        co_return;
    }
    co_await converse_with_peer(peer, *endpoint, target);
    if (out_.error && out_.error->blame == Blame::upstream) {
        out_.error = told(*out_.error, peer);
    }
}

/// Over an idle connection, if there is one and the request could be sent again, or a new one.
asio::awaitable<void> Exchange::converse_with_peer(const PeerConfig& peer, const Endpoint& endpoint,
                                                   const std::string& target) {
    const PoolKey key = pool_key(endpoint);
    const ConnectOptions options = connect_options(peer.timeouts);
    for (int attempt = 1; attempt <= attempts_max; ++attempt) {
        std::optional<Wire> upstream;
        if (attempt == 1 && body_.done()) {
            upstream = context_.pool.take(key);
        }
        const bool reused = upstream.has_value();
        if (!reused) {
            auto first = co_await (connect_upstream(endpoint, options) || client_.wait_gone());
            if (first.index() == 1) {
                out_.error = client_left();
                co_return;
            }
            auto& connected = std::get<0>(first);
            if (!connected) {
                out_.error = connected.error();
                co_return;
            }
            upstream.emplace(std::move(*connected));
        }
        if (!write_head(peer, endpoint, target)) {
            co_return;
        }
        std::optional<AtPeer> at_peer(std::in_place, context_);
        co_await converse(*upstream, peer.timeouts.response_header);
        at_peer.reset();
        if (out_.tunnel) {  // has no end of its own
            co_await run_tunnel(*upstream, client_, config_->limits, *out_.tunnel);
            co_return;
        }
        if (reused && may_repeat(*upstream)) {
            continue;
        }
        keep(*upstream, key, pool_rule(peer.timeouts));
        co_return;
    }
}

}  // namespace corral::http
