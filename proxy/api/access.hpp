#pragma once
// Who may do what: the rules that a config makes, read once for it, and what they say of a request
// before anything is done about it. Names first (hosts.hpp), then pages (cors.hpp), then keys
// (auth.hpp). For a request without Origin nothing is allocated here. Pure but for the machine's
// name, which is given; main loop.

#include "core/config.hpp"
#include "core/error.hpp"
#include "proxy/api/auth.hpp"
#include "proxy/api/cors.hpp"
#include "proxy/api/forwarded.hpp"
#include "proxy/api/request_id.hpp"
#include "proxy/api/route_table.hpp"
#include "proxy/http/head_rules.hpp"
#include "proxy/http/header_edit.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace corral::api {

/// Who makes a request, as far as connection and head tell. Views of the head, the session and the
/// request's id, which live as long as the request does.
struct Caller {
    http::Sender sender;  ///< what an upstream is told of it
    PageVerdict page;     ///< of a browser: whose page it is
    std::string_view id;  ///< X-Request-Id, the client's or made here
    /// The clock is borrowed, too.
    [[nodiscard]] http::AnswerStamp stamp(const http::DateClock& clock) const noexcept;
};

class AccessRules {
public:
    /// `own_name` is the machine's host name.
    AccessRules(std::shared_ptr<const Config> config, std::string own_name);

    [[nodiscard]] const std::shared_ptr<const Config>& config() const noexcept { return config_; }

    /// `peer` is the address of who connected, `made_id` the id of a request that brings none.
    [[nodiscard]] Caller caller(const http::RequestHead& head, std::string_view peer, bool tls,
                                std::string_view made_id) const noexcept;

    /// True for a proxy of ours (`trustedProxies`).
    [[nodiscard]] bool trusts(std::string_view peer) const noexcept {
        return proxies_.trusts(peer);
    }
    /// misdirected (421) for a name that is not ours.
    [[nodiscard]] std::optional<Error> refuse_host(const http::RequestHead& head) const;
    /// forbidden (403), unauthorized (401) for what this caller may not do on this route.
    [[nodiscard]] std::optional<Error> refuse(const http::RequestHead& head, const Caller& caller,
                                              const RouteMatch& match) const;

private:
    std::shared_ptr<const Config> config_;
    std::string own_name_;
    KeyRing keys_;
    TrustedProxies proxies_;
};

}  // namespace corral::api
