#pragma once
// Metrics as values, on their way into the Prometheus text format: what a name stands for, its
// labels and numbers. The library writes the text, and escapes what stands in a label. Pure.

#include <cstdint>
#include <initializer_list>
#include <prometheus/metric_family.h>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace corral::activity {

using Family = prometheus::MetricFamily;
using Families = std::vector<Family>;
using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

/// Empty families. By Prometheus's convention a counter's name ends in `_total`.
[[nodiscard]] Family counter(std::string name, std::string help);
[[nodiscard]] Family gauge(std::string name, std::string help);
[[nodiscard]] Family histogram(std::string name, std::string help);

/// One number more, in a family of counters or gauges. What is not UTF-8 in a label is replaced.
void add(Family& to, Labels labels, double value);
void add(Family& to, Labels labels, std::uint64_t value);

/// Text format 0.0.4.
[[nodiscard]] std::string text_of(const Families& families);

}  // namespace corral::activity
