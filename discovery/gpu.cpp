// Asking drivers for GPU memory; see gpu.hpp.

#include "discovery/gpu.hpp"

#include "core/file.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <dlfcn.h>
#include <filesystem>
#include <memory>
#include <system_error>

namespace corral {

namespace {

// The few functions of nvml.h that are needed; loaded at run time, because most machines and all
// of our builds have no NVIDIA library.
struct NvmlMemory {
    unsigned long long total;
    unsigned long long free;
    unsigned long long used;
};
using NvmlDevice = struct NvmlDeviceHandle*;
using NvmlCall = int (*)();
using NvmlGetCount = int (*)(unsigned*);
using NvmlGetDevice = int (*)(unsigned, NvmlDevice*);
using NvmlGetMemory = int (*)(NvmlDevice, NvmlMemory*);
using NvmlGetName = int (*)(NvmlDevice, char*, unsigned);

constexpr unsigned devices_max = 64;

struct CloseLibrary {
    void operator()(void* library) const noexcept { ::dlclose(library); }
};

template <class Function>
Function symbol(void* library, const char* name) {
    return reinterpret_cast<Function>(::dlsym(library, name));
}

std::vector<Gpu> probe_nvidia_gpus() {
    const std::unique_ptr<void, CloseLibrary> library(
        ::dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL));
    if (!library) {
        return {};
    }
    const auto init = symbol<NvmlCall>(library.get(), "nvmlInit_v2");
    const auto shutdown = symbol<NvmlCall>(library.get(), "nvmlShutdown");
    const auto get_count = symbol<NvmlGetCount>(library.get(), "nvmlDeviceGetCount_v2");
    const auto get_device = symbol<NvmlGetDevice>(library.get(), "nvmlDeviceGetHandleByIndex_v2");
    const auto get_memory = symbol<NvmlGetMemory>(library.get(), "nvmlDeviceGetMemoryInfo");
    const auto get_name = symbol<NvmlGetName>(library.get(), "nvmlDeviceGetName");
    if (init == nullptr || shutdown == nullptr || get_count == nullptr || get_device == nullptr ||
        get_memory == nullptr || init() != 0) {
        return {};
    }
    std::vector<Gpu> gpus;
    unsigned count = 0;
    if (get_count(&count) != 0) {
        count = 0;
    }
    for (unsigned i = 0; i < std::min(count, devices_max); ++i) {
        NvmlDevice device = nullptr;
        NvmlMemory memory{};
        if (get_device(i, &device) != 0 || get_memory(device, &memory) != 0) {
            continue;
        }
        std::array<char, 96> name{};
        const bool named =
            get_name != nullptr &&
            get_name(device, name.data(), static_cast<unsigned>(name.size() - 1)) == 0;
        gpus.push_back({named ? name.data() : "NVIDIA GPU", memory.total});
    }
    shutdown();
    return gpus;
}

}  // namespace

std::vector<Gpu> read_amd_gpus(const std::string& drm_directory) {
    namespace fs = std::filesystem;
    std::error_code error;
    std::vector<std::string> cards;
    for (fs::directory_iterator entries(drm_directory, error);
         !error && entries != fs::directory_iterator(); entries.increment(error)) {
        const std::string name = entries->path().filename().string();
        // "card0" is a card, "card0-DP-1" one of its sockets.
        if (name.starts_with("card") && name.find('-') == std::string::npos) {
            cards.push_back(entries->path().string());
        }
    }
    std::sort(cards.begin(), cards.end());
    std::vector<Gpu> gpus;
    for (const std::string& card : cards) {
        const Result<std::string> text = read_text_file(card + "/device/mem_info_vram_total", 4096);
        std::uint64_t bytes = 0;
        if (text &&
            std::from_chars(text->data(), text->data() + text->size(), bytes).ec == std::errc{}) {
            gpus.push_back({"AMD GPU", bytes});
        }
    }
    return gpus;
}

std::vector<Gpu> probe_gpus() {
    std::vector<Gpu> gpus = probe_nvidia_gpus();
    return gpus.empty() ? read_amd_gpus("/sys/class/drm") : gpus;
}

}  // namespace corral
