#pragma once
// What is counted of the models: starts, stops, failures by class, and how long these took; and how
// the models stand at this moment. Fed with the fleet's news. Never asks a model anything.
// Main loop only.

#include "core/failure.hpp"
#include "core/ids.hpp"
#include "proxy/activity/metric_families.hpp"
#include "supervisor/fleet/fleet.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <prometheus/histogram.h>
#include <span>
#include <unordered_map>

namespace corral::activity {

class ModelMetrics {
public:
    ModelMetrics();

    /// A transition. Of a model that is not in `config` (any more) nothing is kept.
    void heard(const ProcessNews& news, const Config& config);
    /// Writes what was counted, and how the configured models stand: `models` is all of them. What
    /// was counted of others is forgotten.
    void collect(std::span<const ModelStatus> models, Families& out);

private:
    struct Counts {
        std::uint64_t starts = 0;
        std::map<StopReason, std::uint64_t> stops;
        std::map<FailureClass, std::uint64_t> failures;
        std::optional<Duration> last_start;  ///< of the last that ended in readiness
    };
    void collect_counts(std::span<const ModelStatus> models, Families& out) const;

    std::unordered_map<ModelId, Counts> counts_;  // of models that were started
    prometheus::Histogram start_seconds_;
    prometheus::Histogram stop_seconds_;
};

}  // namespace corral::activity
