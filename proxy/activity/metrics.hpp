#pragma once
// Everything that GET /metrics tells: the models, the machine, Corral itself. Nothing of it is
// gathered while nobody asks, but for counting the models' transitions. Main loop only.

#include "core/gpu_reading.hpp"
#include "proxy/activity/machine_metrics.hpp"
#include "proxy/activity/model_metrics.hpp"
#include "supervisor/fleet/fleet.hpp"

#include <chrono>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace corral::activity {

/// The machine's GPUs as they are now; bound by the program.
using ReadGpus = std::function<std::vector<GpuReading>()>;

class Metrics {
public:
    Metrics();

    /// A transition of a model, and the config that holds now.
    void heard(const ProcessNews& news, const Config& config) { models_.heard(news, config); }
    void on_gpus(ReadGpus read) { read_gpus_ = std::move(read); }

    /// The page, in Prometheus's text format. `models` is all that are configured.
    [[nodiscard]] std::string page(std::span<const ModelStatus> models, std::size_t connections);

private:
    ModelMetrics models_;
    CoreUse cores_;
    ReadGpus read_gpus_;
    std::chrono::system_clock::time_point started_ = std::chrono::system_clock::now();
};

}  // namespace corral::activity
