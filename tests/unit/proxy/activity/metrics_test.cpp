// proxy/activity: what is counted of the models, and the text that a Prometheus server gets.
#include "proxy/activity/metrics.hpp"

#include "core/config.hpp"
#include "proxy/activity/machine_metrics.hpp"
#include "proxy/activity/model_metrics.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

using namespace corral;
using namespace corral::activity;
using enum ProcessState;

namespace {

Config config_with(const std::vector<std::string>& models) {
    Config out;
    for (const std::string& name : models) {
        ModelConfig model;
        model.id = ModelId(name);
        out.models.push_back(std::move(model));
    }
    return out;
}

std::vector<ModelStatus> standing(const Config& config, ProcessState state = stopped) {
    std::vector<ModelStatus> out;
    for (const ModelConfig& model : config.models) {
        ModelStatus status;
        status.id = model.id;
        status.state = state;
        out.push_back(std::move(status));
    }
    return out;
}

ProcessNews news_of(const std::string& model, ProcessState from, ProcessState state) {
    ProcessNews out;
    out.model = ModelId(model);
    out.from = from;
    out.state = state;
    return out;
}

/// A start that fails, as the fleet tells it.
void fail(ModelMetrics& metrics, const Config& config, const std::string& model,
          FailureClass kind) {
    metrics.heard(news_of(model, stopped, starting), config);
    ProcessNews failed_news = news_of(model, starting, failed);
    Failure failure;
    failure.kind = kind;
    failed_news.failure = std::make_shared<const Failure>(failure);
    metrics.heard(failed_news, config);
}

std::string told(ModelMetrics& metrics, const std::vector<ModelStatus>& models) {
    Families out;
    metrics.collect(models, out);
    return text_of(out);
}

bool has_line(const std::string& text, const std::string& line) {
    return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

}  // namespace

TEST_CASE("starts, stops and failures are counted by model, cause and class") {
    // Guards: what alerts are made of; a stop that was asked for is no failure, and the other way.
    ModelMetrics metrics;
    const Config config = config_with({"a", "b"});
    fail(metrics, config, "a", FailureClass::out_of_memory);
    fail(metrics, config, "a", FailureClass::out_of_memory);
    fail(metrics, config, "a", FailureClass::timed_out);
    metrics.heard(news_of("b", stopped, starting), config);
    ProcessNews ready_news = news_of("b", starting, ready);
    ready_news.since_start = Duration(250);
    metrics.heard(ready_news, config);
    metrics.heard(news_of("b", ready, stopping), config);
    ProcessNews stopped_news = news_of("b", stopping, stopped);
    stopped_news.reason = StopReason::ttl;
    stopped_news.lasted = Duration(70);
    metrics.heard(stopped_news, config);
    const std::string text = told(metrics, standing(config));
    CHECK(has_line(text, R"(corral_model_failures_total{model="a",class="out_of_memory"} 2)"));
    CHECK(has_line(text, R"(corral_model_failures_total{model="a",class="timeout"} 1)"));
    CHECK(text.find(R"(corral_model_failures_total{model="b")") == std::string::npos);
    CHECK(has_line(text, R"(corral_model_starts_total{model="a"} 3)"));
    CHECK(has_line(text, R"(corral_model_starts_total{model="b"} 1)"));
    CHECK(has_line(text, R"(corral_model_stops_total{model="b",cause="ttl"} 1)"));
    CHECK(text.find(R"(corral_model_stops_total{model="a")") == std::string::npos);
    CHECK(has_line(text, R"(corral_model_last_start_seconds{model="b"} 0.25)"));
    CHECK(has_line(text, R"(corral_model_start_seconds_bucket{le="2.5"} 1)"));
    CHECK(has_line(text, "corral_model_start_seconds_count 1"));
    CHECK(has_line(text, "corral_model_stop_seconds_count 1"));
    CHECK(has_line(text, "# TYPE corral_model_failures_total counter"));
    CHECK(has_line(text, "# TYPE corral_model_start_seconds histogram"));
}

TEST_CASE("how the models stand is told as it is at the moment") {
    // Guards: every state has a number, and a model that nobody asked for has no lines of its own.
    ModelMetrics metrics;
    const Config config = config_with({"a", "b", "c"});
    auto models = standing(config);
    models[0].state = ready;
    models[0].in_flight = 3;
    models[1].state = failed;
    models[1].waiting = 2;
    models[1].failures = 4;
    models[1].retry_in = Duration(1500);
    const std::string text = told(metrics, models);
    CHECK(has_line(text, R"(corral_models{state="stopped"} 1)"));
    CHECK(has_line(text, R"(corral_models{state="starting"} 0)"));
    CHECK(has_line(text, R"(corral_models{state="ready"} 1)"));
    CHECK(has_line(text, R"(corral_models{state="stopping"} 0)"));
    CHECK(has_line(text, R"(corral_models{state="failed"} 1)"));
    CHECK(has_line(text, R"(corral_model_ready{model="a"} 1)"));
    CHECK(has_line(text, R"(corral_model_ready{model="b"} 0)"));
    CHECK(has_line(text, R"(corral_requests_in_flight{model="a"} 3)"));
    CHECK(has_line(text, R"(corral_queue_waiting{model="b"} 2)"));
    CHECK(has_line(text, R"(corral_model_failures_in_a_row{model="b"} 4)"));
    CHECK(has_line(text, R"(corral_model_cooling_down_seconds{model="b"} 1.5)"));
    CHECK(has_line(text, R"(corral_model_cooling_down_seconds{model="a"} 0)"));
    CHECK(text.find(R"(model="c")") == std::string::npos);
}

TEST_CASE("models that a reload took out are forgotten") {
    // Guards: the number of series is bounded by the config, whether somebody scrapes or not.
    ModelMetrics metrics;
    const Config before = config_with({"a", "b"});
    fail(metrics, before, "a", FailureClass::bad_flag);
    fail(metrics, before, "b", FailureClass::bad_flag);
    const Config after = config_with({"b"});
    CHECK(told(metrics, standing(after)).find(R"(model="a")") == std::string::npos);
    CHECK(told(metrics, standing(before)).find(R"(model="a")") == std::string::npos);

    fail(metrics, before, "a", FailureClass::bad_flag);
    fail(metrics, after, "b", FailureClass::bad_flag);  // nobody scraped meanwhile
    CHECK(told(metrics, standing(before)).find(R"(model="a")") == std::string::npos);

    fail(metrics, before, "a", FailureClass::bad_flag);
    metrics.heard(news_of("a", failed, stopped), after);  // the last that is heard of it
    CHECK(told(metrics, standing(before)).find(R"(model="a")") == std::string::npos);
}

TEST_CASE("a label says a model's name as it is") {
    // Guards: a name cannot forge a line or break the page, and what is not UTF-8 is replaced.
    ModelMetrics metrics;
    const std::string name = "x\"} 1\ncorral_fake{y=\"\\\xff";
    const Config config = config_with({name});
    fail(metrics, config, name, FailureClass::other);
    const std::string text = told(metrics, standing(config));
    CHECK(text.find("\ncorral_fake") == std::string::npos);
    CHECK(text.find("starts_total{model=\"x\\\"} 1\\ncorral_fake{y=\\\"\\\\\xef\xbf\xbd\"} 1\n") !=
          std::string::npos);
}

TEST_CASE("cores are told under llama-swap's name since the last look") {
    // Guards: the second look is about the time since the first; a new core counts from boot.
    CoreUse cores("cpu0 0 0 0 100\n");
    Families first;
    cores.collect("cpu0 50 0 0 150\ncpu1 25 0 0 75\n", first);
    const std::string text = text_of(first);
    CHECK(has_line(text, R"(llamaswap_cpu_util_percent{core="0"} 50)"));
    CHECK(has_line(text, R"(llamaswap_cpu_util_percent{core="1"} 25)"));
    Families second;
    cores.collect("cpu0 150 0 0 150\n", second);
    CHECK(has_line(text_of(second), R"(llamaswap_cpu_util_percent{core="0"} 100)"));
}

TEST_CASE("the machine is told under llama-swap's names") {
    // Guards: a dashboard that was made for llama-swap finds its series.
    MachineTexts texts;
    texts.meminfo =
        "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 400 kB\nSwapTotal: 50 kB\n"
        "SwapFree: 20 kB\n";
    texts.loadavg = "0.5 1 2 1/1 1\n";
    texts.net_dev = "eth0: 10 0 0 0 0 0 0 0 20 0 0 0 0 0 0 0\n";
    Families out;
    collect_machine(texts, out);
    const std::string text = text_of(out);
    CHECK(has_line(text, "llamaswap_memory_total_bytes 1024000"));
    CHECK(has_line(text, "llamaswap_memory_used_bytes 614400"));
    CHECK(has_line(text, "llamaswap_memory_free_bytes 102400"));
    CHECK(has_line(text, "llamaswap_swap_total_bytes 51200"));
    CHECK(has_line(text, "llamaswap_swap_used_bytes 30720"));
    CHECK(has_line(text, R"(llamaswap_load_average{interval="1m"} 0.5)"));
    CHECK(has_line(text, R"(llamaswap_load_average{interval="15m"} 2)"));
    CHECK(has_line(text, R"(llamaswap_network_bytes_total{interface="eth0",direction="recv"} 10)"));
    CHECK(has_line(text, R"(llamaswap_network_bytes_total{interface="eth0",direction="sent"} 20)"));
    Families nothing;
    collect_machine(MachineTexts(), nothing);
    CHECK(text_of(nothing).find("memory") == std::string::npos);
}

TEST_CASE("GPUs are told with what they tell") {
    // Guards: a gap is no zero; without any GPU there is no family.
    GpuReading gpu;
    gpu.id = "0";
    gpu.name = "A, B";
    gpu.memory_used_bytes = 600;
    gpu.power_draw_watts = 1.5;
    GpuReading other = gpu;
    other.id = "1";
    other.uuid = "GPU-1";
    other.power_draw_watts.reset();
    const std::vector<GpuReading> gpus{gpu, other};
    Families out;
    collect_gpus(gpus, out);
    const std::string text = text_of(out);
    CHECK(has_line(text, R"(llamaswap_gpu_memory_used_bytes{id="0",name="A, B"} 600)"));
    CHECK(
        has_line(text, R"(llamaswap_gpu_memory_used_bytes{id="1",name="A, B",uuid="GPU-1"} 600)"));
    CHECK(has_line(text, R"(llamaswap_gpu_power_draw_watts{id="0",name="A, B"} 1.5)"));
    CHECK(text.find(R"(power_draw_watts{id="1")") == std::string::npos);
    CHECK(text.find("util_percent") == std::string::npos);
    Families none;
    collect_gpus({}, none);
    CHECK(none.empty());
}

TEST_CASE("the page has every part, and each family once") {
    // Guards: a family that stands twice makes a Prometheus server drop the whole page.
    Metrics metrics;
    const Config config = config_with({"a"});
    metrics.on_gpus([] {
        GpuReading gpu;
        gpu.id = "0";
        gpu.memory_used_bytes = 1;
        return std::vector<GpuReading>{gpu};
    });
    const std::string page = metrics.page(standing(config, ready), 7);
    CHECK(page.find("corral_build_info{version=\"") != std::string::npos);
    CHECK(has_line(page, "corral_connections 7"));
    for (const char* name : {"process_cpu_seconds_total", "process_resident_memory_bytes",
                             "process_open_fds", "process_start_time_seconds"}) {
        CHECK(page.find(std::string("\n") + name + " ") != std::string::npos);
    }
    CHECK(page.find("llamaswap_cpu_util_percent{core=") != std::string::npos);
    CHECK(page.find("llamaswap_gpu_memory_used_bytes{") != std::string::npos);
    std::vector<std::string> types;
    for (auto at = page.find("# TYPE "); at != std::string::npos;
         at = page.find("# TYPE ", at + 1)) {
        types.push_back(page.substr(at, page.find('\n', at) - at));
    }
    std::sort(types.begin(), types.end());
    CHECK(std::adjacent_find(types.begin(), types.end()) == types.end());
    CHECK(types.size() > 20);
}
