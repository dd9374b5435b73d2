#pragma once
// What is to be done with a request: the phases auth, route and find_model, as far as they need no
// waiting. Decides from the head, or from the name that a body gave; does nothing. Main loop only.

#include "core/error.hpp"
#include "proxy/api/access.hpp"
#include "proxy/api/route_table.hpp"
#include "proxy/api/selectors.hpp"
#include "proxy/http/answer.hpp"
#include "proxy/http/head_rules.hpp"
#include "proxy/http/model_use.hpp"
#include "proxy/http/naming.hpp"
#include "proxy/http/target.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <variant>

namespace corral {
struct Config;
}

namespace corral::http {

struct SessionContext;

/// Relay it to this model or peer.
struct Forward {
    Destination to;
    std::string target;    ///< of the request line
    bool metered = false;  ///< what its answer says of tokens and speed is recorded
    ModelUse use = ModelUse::ordinary;
    bool renames = false;  ///< the body asks for `to.name` and has to carry `to.sent_name`
    api::SelectorLoads::Reservation reservation;  ///< what a spillover counts until its end
};

/// The body says which model: read it until it does, then Dispatch::named().
struct NamedByBody {
    const api::Route* route = nullptr;
    Target target;
};

/// A request to Corral itself.
struct ToControl {
    api::RouteMatch match;
};

using Step = std::variant<Answer, Error, Forward, NamedByBody, ToControl>;

/// Borrows all of its arguments, which stand in the session's frame.
class Dispatch {
public:
    Dispatch(SessionContext& context, const std::shared_ptr<const Config>& config,
             const RequestHead& head, const api::Caller& caller) noexcept
        : context_(context), config_(config), head_(head), caller_(caller) {}

    /// What the head alone decides. Sets `model` when it names one, for the log.
    [[nodiscard]] Step first(std::string& model) const;
    /// The same once the body was looked at: `found` is the model that it names, or why it names
    /// none. A body that `is_json` decides alone; with others the query may name the model, too.
    [[nodiscard]] Step named(const NamedByBody& request, const Result<std::string>& found,
                             bool is_json, std::string& model) const;

private:
    [[nodiscard]] Step route(const api::RouteMatch& match, Target target, std::string& model) const;
    [[nodiscard]] Step inference(const api::Route& route, const Target& target,
                                 const Result<std::string>& name, bool in_query,
                                 std::string& model) const;
    [[nodiscard]] Step glance(const api::Route& route, const Target& target,
                              std::string& model) const;
    [[nodiscard]] Step upstream(const Target& target, std::string& model) const;
    [[nodiscard]] Step comfyui(const Target& target, std::string& model) const;
    [[nodiscard]] Answer moved(std::string location) const;
    [[nodiscard]] Result<Destination> destination_of(std::string_view name) const;
    [[nodiscard]] api::SelectorLoads::Reservation reserve(const Destination& to) const;
    [[nodiscard]] bool is_ready(const ModelConfig& model) const;
    [[nodiscard]] bool is_page_file(std::string_view path) const;

    SessionContext& context_;
    const std::shared_ptr<const Config>& config_;
    const RequestHead& head_;
    const api::Caller& caller_;
};

}  // namespace corral::http
