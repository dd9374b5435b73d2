#pragma once
// One request that goes to a model: find_model, admit, connect, send, first_byte, relay. Stands in
// the session's frame for the length of the request; everything it borrows stands there too.
// Main loop only.

#include "core/config.hpp"
#include "core/error.hpp"
#include "proxy/api/access.hpp"
#include "proxy/http/body_model.hpp"
#include "proxy/http/body_pace.hpp"
#include "proxy/http/body_reader.hpp"
#include "proxy/http/head_rules.hpp"
#include "proxy/http/header_edit.hpp"
#include "proxy/http/json_edit.hpp"
#include "proxy/http/loading_stream.hpp"
#include "proxy/http/model_use.hpp"
#include "proxy/http/relay.hpp"
#include "proxy/http/session.hpp"
#include "proxy/http/wire.hpp"
#include "proxy/upstream/connector.hpp"
#include "supervisor/fleet/fleet.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace corral::http {

/// A first try, and one more on a fresh connection or a restarted model.
inline constexpr int attempts_max = 2;

/// How a wait ends when the client closes its connection.
[[nodiscard]] Error client_left();

class Exchange {
public:
    Exchange(Wire& client, const RequestHead& head, const api::Caller& caller,
             SessionContext& context, std::shared_ptr<const Config> config);
    ~Exchange();
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;

    /// Reads the body until it names a model or is at its end. Errors: model_missing,
    /// malformed_json, bad_request, body_too_large, overloaded, timed_out, cancelled.
    [[nodiscard]] asio::awaitable<Result<std::string>> find_model();
    /// The same from what has come already; nullopt when that does not decide it.
    [[nodiscard]] std::optional<Result<std::string>> find_model_now();
    /// The whole body of a request to Corral itself. Errors: of find_model, without its own.
    [[nodiscard]] asio::awaitable<Result<std::string>> read_body(std::size_t bytes_max);
    /// A profile, a selector or a peer has other names for what the body calls its model:
    /// `asked_for` is what setParamsByID goes by, `sent_name` what the body says when it leaves. A
    /// useModelName goes before that. Comes between find_model and run; borrowed.
    void set_names(std::string_view asked_for, std::string_view sent_name) noexcept;
    /// The outcome is to have what the answer says of tokens and speed.
    void set_metered(bool metered) noexcept { metered_ = metered; }
    /// What the request does to the model: loads it, keeps it loaded, or neither.
    void set_use(ModelUse use) noexcept { use_ = use; }
    /// Changes the body as the model's config says, gets the model going and relays its answer.
    /// `target` is the request line's for the upstream. When outcome() has an error and no head
    /// was sent, the caller answers it.
    [[nodiscard]] asio::awaitable<void> run(const ModelConfig& model, std::string target);
    /// The same with another server: no lease is needed, its key goes in place of the client's.
    [[nodiscard]] asio::awaitable<void> run_on_peer(const PeerConfig& peer, std::string target);
    /// How run() or run_on_peer() ended.
    [[nodiscard]] const RelayOutcome& outcome() const noexcept { return out_; }

    /// Waits until the model is ready while watching the client. Errors: as Fleet::acquire, and
    /// cancelled when the client leaves. What is ignored waits for nothing (Fleet::attach).
    /// A client that streams is told how the wait goes if the model's config says so, in the events
    /// of the API that `target` is of; without one nothing is told.
    [[nodiscard]] asio::awaitable<Result<Lease>> admit(const ModelConfig& model,
                                                       std::string_view target = {});

    /// True when the client was told of the loading: its answer has begun, with status 200.
    [[nodiscard]] bool has_begun() const noexcept { return begun_ != nullptr; }
    /// Tells such a client what went wrong, if something did, as the last events of a stream that
    /// stays without its end; the outcome then has the status that it would have been. Requires:
    /// has_begun().
    [[nodiscard]] asio::awaitable<void> end_begun();

    [[nodiscard]] bool body_is_json() const noexcept { return scanner_->is_json(); }
    /// True when the request's body was read to its end: the connection can be used on.
    [[nodiscard]] bool body_done() const noexcept { return body_.done(); }
    /// Takes what has come of the body already; true when that is all.
    [[nodiscard]] bool skip_rest();

private:
    class Way;
    /// Makes head_text_; false: out_ has an error.
    bool write_head(const RequestEdit& edit);
    bool write_head(const PeerConfig& peer, const Endpoint& endpoint, const std::string& target);
    /// False: out_ has an error.
    asio::awaitable<bool> prepare_body(const Filters& filters, std::string_view name);
    asio::awaitable<Result<void>> look_ahead();
    asio::awaitable<Result<void>> next_pieces();
    asio::awaitable<Result<void>> read_more();
    Result<void> scan_pieces();
    /// Why pieces are held: until the model is named, or all of them for the filters.
    enum class Hold : std::uint8_t { until_named, for_filters };
    Result<void> hold_pieces(Hold why);
    void release_held() noexcept;
    /// Lets the body say this name where it names a model; empty: as it is.
    void rename_model(std::string_view name);
    /// The same and what the filters ask for. When that is anything, the body is read to its end
    /// first, and it leaves with its length. Only JSON has more than its name changed.
    asio::awaitable<Result<void>> change_body(const Filters& filters, std::string_view name);
    Result<void> edit_held(std::span<const JsonEdit> edits);
    RequestEdit edit_for(std::string_view target) const;
    ConnectOptions connect_options(const UpstreamTimeouts& timeouts) const noexcept;
    /// True when a reused connection broke under a request before its answer, so that nothing was
    /// done with it, and all of the request is there to be sent again.
    [[nodiscard]] bool may_repeat(Wire& upstream) const;
    /// Keeps a connection on which an exchange has ended well.
    void keep(Wire& upstream, const PoolKey& key, PoolRule rule);
    asio::awaitable<void> converse_with_peer(const PeerConfig& peer, const Endpoint& endpoint,
                                             const std::string& target);
    asio::awaitable<void> converse(Wire& upstream, Duration head_timeout);
    asio::awaitable<void> send_rest(Wire& upstream, Outgoing& outgoing);
    asio::awaitable<void> send_rest_then_bound(Wire& upstream, Outgoing& out, Duration timeout);
    asio::awaitable<void> begin(Relay& relay);
    asio::awaitable<void> relay_into(Relay& relay, Wire& upstream);
    void end_unread_request(Wire& upstream);
    asio::awaitable<void> explain(std::uint64_t generation);
    class LoadingWait;
    [[nodiscard]] bool tells_loading(const ModelConfig& model) const noexcept;
    asio::awaitable<Result<Lease>> admit_and_tell(const ModelConfig& model, StreamApi api);
    asio::awaitable<bool> tell(std::string_view head_text, std::string_view text);

    Wire& client_;
    const RequestHead& head_;
    const api::Caller& caller_;
    SessionContext& context_;
    std::shared_ptr<const Config> config_;
    BodyReader body_;
    BodyPace pace_;
    std::unique_ptr<BodyModel> scanner_;  ///< gone once the request was answered
    bool scanning_ = false;  ///< the body decides about the model, so all of it is checked
    std::vector<Piece> pieces_;
    std::string held_;                        ///< body bytes that were read and not sent yet
    std::size_t held_counted_ = 0;            ///< of them, counted in SessionContext::bytes_held
    Framing leaves_;                          ///< of the body when it leaves, changed by edits
    std::string head_text_;                   ///< of the request, from write_head() to converse()
    std::string_view asked_for_, sent_name_;  ///< set_names; empty: what the body says
    std::unique_ptr<Error> refusal_;          ///< why the rest of the body is not accepted
    ModelUse use_ = ModelUse::ordinary;
    bool metered_ = false, continued_ = false;  ///< the latter: 100 Continue was sent
    bool client_gone_ = false;
    bool keeps_body_ = true;                ///< held_ is still the whole body from its start
    bool answered_ = false;                 ///< the answer has ended before the request has
    std::unique_ptr<LoadingStream> begun_;  ///< the client was told of the loading
    RelayOutcome out_;
};

}  // namespace corral::http
