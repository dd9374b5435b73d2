#include "proxy/activity/metrics.hpp"

namespace corral::activity {

Metrics::Metrics() : cores_(read_machine_texts().stat) {}

std::string Metrics::page(std::span<const ModelStatus> models, std::size_t connections) {
    Families out;
    Family build = gauge("corral_build_info", "Always 1; its label is the version.");
    add(build, {{"version", CORRAL_VERSION}}, 1.0);
    out.push_back(std::move(build));
    models_.collect(models, out);
    Family open = gauge("corral_connections", "Connections of clients that are open.");
    add(open, {}, std::uint64_t{connections});
    out.push_back(std::move(open));
    const MachineTexts texts = read_machine_texts();
    collect_process(texts, read_process_use(), started_, out);
    cores_.collect(texts.stat, out);
    collect_machine(texts, out);
    if (read_gpus_) {
        collect_gpus(read_gpus_(), out);
    }
    return text_of(out);
}

}  // namespace corral::activity
