// The exchange with a model: the right to use it, the way to its server, and what is tried anew.
#include "proxy/http/exchange.hpp"
#include "proxy/http/tunnel.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

namespace corral::http {
namespace {

using namespace asio::experimental::awaitable_operators;

/// How long a broken connection's process gets to end, so that the answer can say how it did.
constexpr Duration post_mortem_patience{500};

/// The client will read why, so that the end of the model's process belongs into it; in a stream
/// that has begun, of a connection that broke only.
bool can_be_explained(const RelayOutcome& out, bool has_begun) {
    if (!out.error || out.error->blame != Blame::upstream) {
        return false;
    }
    return has_begun ? out.error->is(Errc::upstream_closed) : !out.head_sent;
}

PoolRule model_rule(const UpstreamTimeouts& timeouts) {
    PoolRule rule = model_pool_rule;
    if (timeouts.idle_conn > std::chrono::seconds(0)) {
        rule.idle_for = std::min<Duration>(rule.idle_for, timeouts.idle_conn);
    }
    return rule;
}

/// What needs no waiting: a model that is ready, a refusal, a use that does not count.
std::optional<Result<Lease>> admit_now(Fleet& fleet, const RequestHead& head,
                                       const ModelConfig& model, ModelUse use) {
    if (is_ignored(head, model) || use == ModelUse::if_ready) {
        return fleet.attach(model.id);
    }
    return fleet.try_acquire(model.id, touches(use));
}

}  // namespace

/// The way to the model's server for one attempt: the right to it, and a connection. When it is not
/// found and out_ has an error, that is why.
class Exchange::Way {
public:
    Way(Exchange& exchange, const ModelConfig& of, bool is_first)
        : exchange_(exchange), model_(of), is_first_(is_first) {}

    /// What needs no waiting: a model that is ready, and an idle connection to it.
    bool find_now();
    /// With a lease nothing was sent, and another attempt may do better.
    asio::awaitable<bool> find(std::string_view target);
    /// Makes head_text_; false: out_ has an error.
    bool write_head(const std::string& target);

    std::optional<Lease> lease;
    std::optional<Wire> upstream;
    std::optional<UpstreamPool::Waiting> waiting;
    bool reused = false;  ///< the connection

private:
    bool take_idle();

    Exchange& exchange_;
    const ModelConfig& model_;
    bool is_first_;
};

bool Exchange::Way::find_now() {
    auto admitted = admit_now(exchange_.context_.fleet, exchange_.head_, model_, exchange_.use_);
    if (!admitted) {
        return false;
    }
    if (!*admitted) {
        exchange_.out_.error = admitted->error();
        return false;
    }
    lease = std::move(**admitted);
    return take_idle();
}

/// An idle connection may break under the request, so it is for what can be sent again.
bool Exchange::Way::take_idle() {
    if (is_first_ && exchange_.body_.done()) {
        upstream = exchange_.context_.pool.take(PoolKey(lease->generation()));
        reused = upstream.has_value();
    }
    return reused;
}

asio::awaitable<bool> Exchange::Way::find(std::string_view target) {
    if (!lease) {
        auto admitted = co_await exchange_.admit(model_, target);
        if (!admitted) {
            exchange_.out_.error = admitted.error();
            co_return false;
        }
        lease = std::move(*admitted);
        if (take_idle()) {
            co_return true;
        }
    }
    const ConnectOptions options = exchange_.connect_options(model_.timeouts);
    auto connected = co_await connect_upstream(lease->endpoint(), options);
    if (!connected) {
        exchange_.out_.error = connected.error();
        co_await exchange_.explain(lease->generation());
        co_return false;
    }
    upstream.emplace(std::move(*connected));
    waiting.emplace(exchange_.context_.pool, PoolKey(lease->generation()), *upstream);
    co_return true;
}

bool Exchange::Way::write_head(const std::string& target) {
    const Endpoint& endpoint = lease->endpoint();
    const std::string path = endpoint.base_path + target;
    const std::string own_host = exchange_.head_.host.empty() ? endpoint.authority() : "";
    RequestEdit edit = exchange_.edit_for(path);
    edit.host = own_host;
    return exchange_.write_head(edit);
}

asio::awaitable<void> Exchange::run(const ModelConfig& model, std::string target) {
    bool prepared = body_.done() && model.filters.empty();
    const std::string_view name = model.use_model_name.empty() ? sent_name_ : model.use_model_name;
    if (prepared) {
        rename_model(name);
    } else {
        prepared = co_await prepare_body(model.filters, name);
    }
    for (int attempt = 1; prepared && attempt <= attempts_max; ++attempt) {
        Way way(*this, model, attempt == 1);
        out_.error.reset();
        bool found = way.find_now();
        if (!found && !out_.error) {
            found = co_await way.find(target);
        }
        if (!found && way.lease) {
            continue;  // nothing was sent: the next attempt may start the model anew
        }
        if (!found || !way.write_head(target)) {
            co_return;
        }
        co_await converse(*way.upstream, model.timeouts.response_header);
        if (out_.tunnel) {
            way.waiting.reset();
            co_await run_tunnel(*way.upstream, client_, config_->limits,
                                way.lease->until_told_to_go(), *out_.tunnel);
            co_return;
        }
        if (way.reused && may_repeat(*way.upstream)) {
            continue;
        }
        if (can_be_explained(out_, has_begun())) {
            co_await explain(way.lease->generation());
        }
        way.waiting.reset();
        keep(*way.upstream, PoolKey(way.lease->generation()), model_rule(model.timeouts));
        co_return;
    }
}

asio::awaitable<Result<Lease>> Exchange::admit(const ModelConfig& model, std::string_view target) {
    if (auto at_once = admit_now(context_.fleet, head_, model, use_)) {
        co_return std::move(*at_once);
    }
    if (!target.empty() && tells_loading(model)) {
        const StreamApi api = stream_api(target);
        co_return co_await admit_and_tell(model, api);
    }
    const auto until = Clock::now() + config_->limits.queue_timeout;
    auto first = co_await (context_.fleet.acquire(model.id, until, nullptr, touches(use_)) ||
                           client_.wait_gone());
    if (first.index() == 1) {
        co_return client_left();
    }
    co_return std::move(std::get<0>(first));
}

/// Adds to an upstream's failure what is known of its process. A process that says something wrong,
/// or nothing, is alive: its end is not waited for.
asio::awaitable<void> Exchange::explain(std::uint64_t generation) {
    if (out_.error->is(Errc::upstream_malformed) || out_.error->is(Errc::timed_out)) {
        co_return;
    }
    const auto story = co_await context_.fleet.post_mortem(generation, post_mortem_patience);
    if (!story.text.empty()) {
        out_.error->detail += ". The model's process has ended: " + story.text;
        out_.error->failure = story.failure;
    }
}

}  // namespace corral::http
