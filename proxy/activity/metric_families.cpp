#include "proxy/activity/metric_families.hpp"

#include "proxy/http/utf8.hpp"

#include <prometheus/text_serializer.h>
#include <sstream>

namespace corral::activity {
namespace {

Family family_of(std::string name, std::string help, prometheus::MetricType type) {
    Family out;
    out.name = std::move(name);
    out.help = std::move(help);
    out.type = type;
    return out;
}

/// Nothing else is changed: two names must not become one.
std::string label_value(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const auto [code, size] = http::utf8::decode(text);
        out +=
            code == http::utf8::invalid ? std::string_view("\xef\xbf\xbd") : text.substr(0, size);
        text.remove_prefix(size);
    }
    return out;
}

}  // namespace

Family counter(std::string name, std::string help) {
    return family_of(std::move(name), std::move(help), prometheus::MetricType::Counter);
}

Family gauge(std::string name, std::string help) {
    return family_of(std::move(name), std::move(help), prometheus::MetricType::Gauge);
}

Family histogram(std::string name, std::string help) {
    return family_of(std::move(name), std::move(help), prometheus::MetricType::Histogram);
}

void add(Family& to, Labels labels, double value) {
    prometheus::ClientMetric metric;
    for (const auto& [name, text] : labels) {
        metric.label.push_back({std::string(name), label_value(text)});
    }
    if (to.type == prometheus::MetricType::Counter) {
        metric.counter.value = value;
    } else {
        metric.gauge.value = value;
    }
    to.metric.push_back(std::move(metric));
}

void add(Family& to, Labels labels, std::uint64_t value) {
    add(to, labels, static_cast<double>(value));
}

std::string text_of(const Families& families) {
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, families);
    return std::move(out).str();
}

}  // namespace corral::activity
