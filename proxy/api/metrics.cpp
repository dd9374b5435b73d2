#include "proxy/api/metrics.hpp"

#include "core/config.hpp"

namespace corral::api {

http::Answer metrics_answer(activity::Metrics& metrics, const Fleet& fleet,
                            std::size_t connections) {
    http::Answer out;
    if (fleet.config()->performance_disabled) {
        out.status = 503;
        out.content_type = "text/plain; charset=utf-8";
        out.body = "# performance monitor not available";  // as llama-swap says it
        return out;
    }
    out.content_type = "text/plain; version=0.0.4; charset=utf-8";
    out.body = metrics.page(fleet.models(), connections);
    return out;
}

}  // namespace corral::api
