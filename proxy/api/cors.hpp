#pragma once
// Which web pages may use Corral (CORS): its own, those of this machine, and those that
// `allowedOrigins` lists. A browser says with each request which page makes it; programs that are
// no browsers do not, and none of this concerns them. Pure; any thread.

#include "core/error.hpp"
#include "proxy/api/route_table.hpp"
#include "proxy/http/answer.hpp"
#include "proxy/http/head_rules.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace corral::api {

/// `http://localhost`, `https://127.0.0.1:3000` and their like; no name that only begins so.
[[nodiscard]] bool is_local_origin(std::string_view origin) noexcept;

/// What the fields that browsers send say of a request.
struct PageVerdict {
    std::string_view origin;  ///< of the page, when it may use Corral; else empty
    bool has_origin = false;  ///< the request has an Origin field, so that answers vary by it
    bool foreign = false;     ///< a page asks that may not
};

/// `forwarded_host` is the Host that a trusted proxy was asked by; empty: there is none. A page of
/// either is at home here. Two Origin fields are of no page. Without an Origin, Sec-Fetch-Site:
/// cross-site makes a request foreign, unless every page is allowed.
[[nodiscard]] PageVerdict judge_page(const http::RequestHead& head, std::string_view forwarded_host,
                                     std::span<const std::string> allowed_origins) noexcept;

/// The 403 for what a foreign page may not do: change something, load a model or ask it, open a
/// WebSocket, find out what it might do (preflight). Lists may be asked for: without a CORS field
/// in the answer the page cannot read them. So may a page below /upstream/ be opened by a link.
[[nodiscard]] std::optional<Error> refuse_page(const PageVerdict& page,
                                               const http::RequestHead& head,
                                               const RouteMatch& match);

/// The answer to every OPTIONS that was not refused: 204, and what a page may send. The fields that
/// it asks for are echoed, without what is no field's name. Whoever sends no Origin is no browser
/// and gets llama-swap's answer, `Access-Control-Allow-Origin: *`.
[[nodiscard]] http::Answer preflight(const http::RequestHead& head);

}  // namespace corral::api
