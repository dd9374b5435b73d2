#include "proxy/activity/model_metrics.hpp"

#include "core/config.hpp"

#include <array>
#include <chrono>
#include <unordered_set>
#include <utility>

namespace corral::activity {
namespace {

using Bounds = prometheus::Histogram::BucketBoundaries;

/// From a small model in the page cache to a large one on a slow disk.
Bounds start_bounds() {
    return {0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600};
}

Bounds stop_bounds() {
    return {0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60};
}

constexpr std::array states{ProcessState::stopped, ProcessState::starting, ProcessState::ready,
                            ProcessState::stopping, ProcessState::failed};

double seconds(Duration time) noexcept {
    return std::chrono::duration<double>(time).count();
}

Family one_histogram(std::string name, std::string help, const prometheus::Histogram& values) {
    Family out = histogram(std::move(name), std::move(help));
    out.metric.push_back(values.Collect());
    return out;
}

/// A model that nobody has asked for yet has no lines: with hundreds configured these are most.
bool was_asked_for(const ModelStatus& model) noexcept {
    return model.state != ProcessState::stopped || model.waiting != 0 || model.since.has_value();
}

void collect_states(std::span<const ModelStatus> models, Families& out) {
    std::map<ProcessState, std::uint64_t> count;
    for (const ModelStatus& model : models) {
        ++count[model.state];
    }
    Family family = gauge("corral_models", "Configured models by the state of their process.");
    for (const ProcessState state : states) {
        add(family, {{"state", process_state_name(state)}}, count[state]);
    }
    out.push_back(std::move(family));
}

void collect_gauges(std::span<const ModelStatus> models, Families& out) {
    Family ready = gauge("corral_model_ready", "1 while the model answers requests, else 0.");
    Family in_flight =
        gauge("corral_requests_in_flight", "Requests that the model is answering now.");
    Family waiting =
        gauge("corral_queue_waiting", "Requests that wait for the model to be ready or free.");
    Family in_a_row = gauge("corral_model_failures_in_a_row",
                            "How often the model has failed since it was last ready.");
    Family cooling = gauge("corral_model_cooling_down_seconds",
                           "How long the model still rests after failures; requests get 503.");
    for (const ModelStatus& model : models) {
        if (!was_asked_for(model)) {
            continue;
        }
        const std::string& id = model.id.str();
        add(ready, {{"model", id}}, std::uint64_t{model.state == ProcessState::ready ? 1U : 0U});
        add(in_flight, {{"model", id}}, std::uint64_t{model.in_flight});
        add(waiting, {{"model", id}}, std::uint64_t{model.waiting});
        add(in_a_row, {{"model", id}}, std::uint64_t{model.failures});
        add(cooling, {{"model", id}}, seconds(model.retry_in.value_or(Duration(0))));
    }
    for (Family* family : {&ready, &in_flight, &waiting, &in_a_row, &cooling}) {
        out.push_back(std::move(*family));
    }
}

}  // namespace

ModelMetrics::ModelMetrics() : start_seconds_(start_bounds()), stop_seconds_(stop_bounds()) {}

void ModelMetrics::heard(const ProcessNews& news, const Config& config) {
    if (news.state == ProcessState::ready) {
        start_seconds_.Observe(seconds(news.since_start));
    } else if (news.from == ProcessState::stopping) {
        stop_seconds_.Observe(seconds(news.lasted));
    }
    if (config.find_id(news.model) == nullptr) {
        counts_.erase(news.model);
        return;
    }
    Counts& counts = counts_[news.model];
    if (news.state == ProcessState::starting) {
        ++counts.starts;
    } else if (news.state == ProcessState::ready) {
        counts.last_start = news.since_start;
    } else if (news.state == ProcessState::failed) {
        ++counts.failures[news.failure ? news.failure->kind : FailureClass::other];
    } else if (news.from == ProcessState::stopping && news.reason) {
        ++counts.stops[*news.reason];
    }
    // Reloads that nobody scrapes between must not let it grow.
    if (counts_.size() > config.models.size()) {
        std::erase_if(counts_,
                      [&](const auto& entry) { return config.find_id(entry.first) == nullptr; });
    }
}

void ModelMetrics::collect(std::span<const ModelStatus> models, Families& out) {
    std::unordered_set<ModelId> known;
    for (const ModelStatus& model : models) {
        known.insert(model.id);
    }
    std::erase_if(counts_, [&](const auto& entry) { return !known.contains(entry.first); });
    collect_states(models, out);
    collect_gauges(models, out);
    collect_counts(models, out);
    out.push_back(one_histogram("corral_model_start_seconds",
                                "From the wish to start a model until it was ready.",
                                start_seconds_));
    out.push_back(one_histogram("corral_model_stop_seconds",
                                "From the wish to stop a model until nothing of it was left.",
                                stop_seconds_));
}

/// In the order of the config, so that a page can be compared with the last one.
void ModelMetrics::collect_counts(std::span<const ModelStatus> models, Families& out) const {
    Family starts = counter("corral_model_starts_total", "How often the model was started.");
    Family stops = counter("corral_model_stops_total", "How often it was told to stop, and why.");
    Family failures = counter("corral_model_failures_total",
                              "How often it failed to start or ended by itself, by class.");
    Family last = gauge("corral_model_last_start_seconds", "How long its last start took.");
    for (const ModelStatus& model : models) {
        const auto found = counts_.find(model.id);
        if (found == counts_.end()) {
            continue;
        }
        const std::string& id = model.id.str();
        const Counts& counts = found->second;
        add(starts, {{"model", id}}, counts.starts);
        for (const auto& [reason, count] : counts.stops) {
            add(stops, {{"model", id}, {"cause", stop_reason_name(reason)}}, count);
        }
        for (const auto& [kind, count] : counts.failures) {
            add(failures, {{"model", id}, {"class", failure_class_name(kind)}}, count);
        }
        if (counts.last_start) {
            add(last, {{"model", id}}, seconds(*counts.last_start));
        }
    }
    for (Family* family : {&starts, &stops, &failures, &last}) {
        out.push_back(std::move(*family));
    }
}

}  // namespace corral::activity
