#include "proxy/api/access.hpp"

#include "core/web_names.hpp"
#include "proxy/api/hosts.hpp"
#include "proxy/http/http_chars.hpp"

#include <utility>

namespace corral::api {

http::AnswerStamp Caller::stamp(const http::DateClock& clock) const noexcept {
    return {id, page.origin, page.has_origin, &clock};
}

AccessRules::AccessRules(std::shared_ptr<const Config> config, std::string own_name)
    : config_(std::move(config)),
      own_name_(std::move(own_name)),
      keys_(config_->api_keys),
      proxies_(config_->trusted_proxies) {}

Caller AccessRules::caller(const http::RequestHead& head, std::string_view peer, bool tls,
                           std::string_view made_id) const noexcept {
    Caller out;
    out.sender.trusted = proxies_.trusts(peer);
    out.sender.address = peer;
    out.sender.client = proxies_.client(peer, head.fields);
    out.sender.scheme = tls ? "https" : "http";
    std::string_view forwarded_host;
    if (out.sender.trusted) {
        forwarded_host = head.fields.find("x-forwarded-host").value_or("");
        forwarded_host = http::chars::trim(forwarded_host.substr(0, forwarded_host.find(',')));
    }
    out.page = judge_page(head, forwarded_host, config_->allowed_origins);
    out.id = sane_request_id(head.fields).value_or(made_id);
    return out;
}

std::optional<Error> AccessRules::refuse_host(const http::RequestHead& head) const {
    if (!keys_.empty() || is_allowed_host(head.host, own_name_, config_->allowed_hosts)) {
        return std::nullopt;
    }
    const OriginParts parts = split_authority(head.host);
    const std::string name(parts.host);
    return Error(Errc::misdirected, Blame::client,
                 "this server is not known by the name " + name +
                     ": to be reached by it, it needs the name in its config, allowedHosts: [\"" +
                     name + "\"]");
}

std::optional<Error> AccessRules::refuse(const http::RequestHead& head, const Caller& caller,
                                         const RouteMatch& match) const {
    if (auto refused = refuse_page(caller.page, head, match)) {
        return refused;
    }
    const bool open = match.route != nullptr && !match.route->auth;
    if (!open && !is_authorized(head.fields, keys_)) {
        return Error(Errc::unauthorized, Blame::client, "unauthorized: invalid or missing API key");
    }
    return std::nullopt;
}

}  // namespace corral::api
