#pragma once
// The requests that Corral answers itself: lists, states, profiles, loading and unloading. Which
// request it is says the route table; the documents are written by llama_swap, model_list and
// profiles. Main loop only.

#include "core/config.hpp"
#include "core/error.hpp"
#include "proxy/api/route_table.hpp"
#include "proxy/api/selectors.hpp"
#include "proxy/http/answer.hpp"
#include "proxy/http/exchange.hpp"
#include "proxy/http/head_rules.hpp"
#include "proxy/http/session.hpp"
#include "supervisor/fleet/fleet.hpp"

#include <boost/asio/awaitable.hpp>

#include <memory>
#include <string>
#include <string_view>

namespace corral::api {

/// One such request. Stands in the session's frame, and so does what it borrows.
class Control {
public:
    Control(http::SessionContext& context, std::shared_ptr<const Config> config,
            const http::RequestHead& head, http::Exchange& exchange)
        : context_(context), config_(std::move(config)), head_(head), exchange_(exchange) {}

    /// The answer. `model` becomes the model that it is about, for the log.
    [[nodiscard]] boost::asio::awaitable<Result<http::Answer>> answer(const RouteMatch& match,
                                                                      std::string& model);

private:
    Result<http::Answer> answer_at_once(const RouteMatch& match) const;
    Result<http::Answer> model_info(const std::string& name) const;
    Result<http::Answer> stream_log(const std::string& name) const;
    Result<http::Answer> reset(const RouteMatch& match) const;
    boost::asio::awaitable<Result<http::Answer>> unload(std::string name);
    boost::asio::awaitable<Result<http::Answer>> unload_all(bool as_text);
    [[nodiscard]] bool asks_for(std::string_view parameter) const;
    [[nodiscard]] Unloading how_to_unload() const;
    boost::asio::awaitable<Result<http::Answer>> load(std::string& model);
    boost::asio::awaitable<Result<http::Answer>> choose_profile();
    boost::asio::awaitable<Result<http::Answer>> regenerate();

    http::SessionContext& context_;
    std::shared_ptr<const Config> config_;
    const http::RequestHead& head_;
    http::Exchange& exchange_;
};

/// The states of the fleet's models, for choices and lists. The fleet outlives it.
[[nodiscard]] StateOf states_of(const Fleet& fleet);

}  // namespace corral::api
