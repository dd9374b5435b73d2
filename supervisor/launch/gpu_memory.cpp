// NVML is loaded when it is there, never linked: Corral runs on machines without a driver.

#include "supervisor/launch/gpu_memory.hpp"

#include "core/file.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <dlfcn.h>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

namespace corral {
namespace {

namespace fs = std::filesystem;

/// The part of nvml.h that is used; its functions return 0 for success.
struct NvmlMemory {
    unsigned long long total = 0;
    unsigned long long free = 0;
    unsigned long long used = 0;
};
struct NvmlUtilization {
    unsigned gpu = 0;
    unsigned memory = 0;
};
using NvmlDevice = void*;
using NvmlCall = int (*)();
using NvmlCount = int (*)(unsigned*);
using NvmlHandle = int (*)(unsigned, NvmlDevice*);
using NvmlInfo = int (*)(NvmlDevice, NvmlMemory*);
using NvmlText = int (*)(NvmlDevice, char*, unsigned);
using NvmlNumber = int (*)(NvmlDevice, unsigned*);
using NvmlSensor = int (*)(NvmlDevice, int, unsigned*);
using NvmlRates = int (*)(NvmlDevice, NvmlUtilization*);
constexpr int nvml_temperature_of_gpu = 0;
constexpr double milliwatts = 1000;

struct CloseLibrary {
    void operator()(void* library) const noexcept { ::dlclose(library); }
};
using Library = std::unique_ptr<void, CloseLibrary>;

template <class Function>
Function function_of(const Library& library, const char* name) noexcept {
    return reinterpret_cast<Function>(::dlsym(library.get(), name));
}

class NvidiaMemory final : public GpuMemory {
public:
    explicit NvidiaMemory(Library library) : library_(std::move(library)) {
        const auto init = function_of<NvmlCall>(library_, "nvmlInit_v2");
        const auto count_of = function_of<NvmlCount>(library_, "nvmlDeviceGetCount_v2");
        const auto handle_of = function_of<NvmlHandle>(library_, "nvmlDeviceGetHandleByIndex_v2");
        info_of_ = function_of<NvmlInfo>(library_, "nvmlDeviceGetMemoryInfo");
        started_ = init != nullptr && init() == 0;
        unsigned count = 0;
        if (!started_ || count_of == nullptr || handle_of == nullptr || info_of_ == nullptr ||
            count_of(&count) != 0) {
            return;
        }
        for (unsigned i = 0; i < count; ++i) {
            NvmlDevice device = nullptr;
            if (handle_of(i, &device) == 0) {
                devices_.push_back(device);
            }
        }
    }
    ~NvidiaMemory() override {
        const auto shut_down = function_of<NvmlCall>(library_, "nvmlShutdown");
        if (started_ && shut_down != nullptr) {
            shut_down();
        }
    }
    NvidiaMemory(const NvidiaMemory&) = delete;
    NvidiaMemory& operator=(const NvidiaMemory&) = delete;

    [[nodiscard]] std::optional<std::uint64_t> used() override {
        std::uint64_t sum = 0;
        bool any = false;
        for (const NvmlDevice device : devices_) {
            NvmlMemory memory;
            if (info_of_(device, &memory) == 0) {
                sum += memory.used;
                any = true;
            }
        }
        return any ? std::optional(sum) : std::nullopt;
    }

    [[nodiscard]] std::vector<GpuReading> readings() override {
        std::vector<GpuReading> out;
        for (std::size_t i = 0; i < devices_.size(); ++i) {
            out.push_back(reading_of(i));
        }
        return out;
    }

private:
    [[nodiscard]] GpuReading reading_of(std::size_t index) const {
        const NvmlDevice device = devices_[index];
        GpuReading out;
        out.id = std::to_string(index);
        out.name = text_of(device, "nvmlDeviceGetName");
        out.uuid = text_of(device, "nvmlDeviceGetUUID");
        NvmlMemory memory;
        if (info_of_(device, &memory) == 0) {
            out.memory_used_bytes = memory.used;
            out.memory_total_bytes = memory.total;
        }
        NvmlUtilization rates;
        const auto rates_of = function_of<NvmlRates>(library_, "nvmlDeviceGetUtilizationRates");
        if (rates_of != nullptr && rates_of(device, &rates) == 0) {
            out.util_percent = rates.gpu;
            out.memory_util_percent = rates.memory;
        }
        unsigned degrees = 0;
        const auto sensor_of = function_of<NvmlSensor>(library_, "nvmlDeviceGetTemperature");
        if (sensor_of != nullptr && sensor_of(device, nvml_temperature_of_gpu, &degrees) == 0) {
            out.temperature_celsius = degrees;
        }
        out.fan_speed_percent = number_of(device, "nvmlDeviceGetFanSpeed");
        if (const auto power = number_of(device, "nvmlDeviceGetPowerUsage")) {
            out.power_draw_watts = *power / milliwatts;
        }
        return out;
    }
    [[nodiscard]] std::string text_of(NvmlDevice device, const char* name) const {
        std::array<char, 128> text{};
        const auto call = function_of<NvmlText>(library_, name);
        const bool done = call != nullptr && call(device, text.data(), text.size() - 1) == 0;
        return done ? std::string(text.data()) : std::string();
    }
    [[nodiscard]] std::optional<double> number_of(NvmlDevice device, const char* name) const {
        unsigned value = 0;
        const auto call = function_of<NvmlNumber>(library_, name);
        const bool done = call != nullptr && call(device, &value) == 0;
        return done ? std::optional<double>(value) : std::nullopt;
    }

    Library library_;
    NvmlInfo info_of_ = nullptr;
    bool started_ = false;
    std::vector<NvmlDevice> devices_;
};

constexpr const char* amd_memory_used = "mem_info_vram_used";

class AmdMemory final : public GpuMemory {
public:
    /// Directories like /sys/class/drm/card0/device.
    explicit AmdMemory(std::vector<fs::path> devices) : devices_(std::move(devices)) {}

    [[nodiscard]] std::optional<std::uint64_t> used() override {
        std::uint64_t sum = 0;
        bool any = false;
        for (const auto& device : devices_) {
            if (const auto value = number_in(device / amd_memory_used)) {
                sum += *value;
                any = true;
            }
        }
        return any ? std::optional(sum) : std::nullopt;
    }

    [[nodiscard]] std::vector<GpuReading> readings() override {
        std::vector<GpuReading> out;
        for (std::size_t i = 0; i < devices_.size(); ++i) {
            const fs::path& device = devices_[i];
            GpuReading one;
            one.id = std::to_string(i);
            one.name = "AMD " + device.parent_path().filename().string();
            one.memory_used_bytes = number_in(device / amd_memory_used);
            one.memory_total_bytes = number_in(device / "mem_info_vram_total");
            one.util_percent = number_in(device / "gpu_busy_percent");
            one.memory_util_percent = number_in(device / "mem_busy_percent");
            out.push_back(std::move(one));
        }
        return out;
    }

private:
    static std::optional<std::uint64_t> number_in(const fs::path& file) {
        const auto text = read_text_file(file.string(), 64);
        std::uint64_t value = 0;
        const bool read =
            text &&
            std::from_chars(text->data(), text->data() + text->size(), value).ec == std::errc{};
        return read ? std::optional(value) : std::nullopt;
    }

    std::vector<fs::path> devices_;
};

}  // namespace

std::unique_ptr<GpuMemory> make_nvidia_memory(const std::string& name) {
    Library library(::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL));
    if (!library) {
        return nullptr;
    }
    auto out = std::make_unique<NvidiaMemory>(std::move(library));
    return out->used() ? std::move(out) : nullptr;
}

std::unique_ptr<GpuMemory> make_amd_memory(const std::string& root) {
    std::vector<fs::path> devices;
    std::error_code error;
    for (fs::directory_iterator entry(root + "/sys/class/drm", error), end; !error && entry != end;
         entry.increment(error)) {
        const std::string name = entry->path().filename().string();
        const bool is_card = name.starts_with("card") && name.find('-') == std::string::npos;
        const fs::path device = entry->path() / "device";
        std::error_code ignored;
        if (is_card && fs::exists(device / amd_memory_used, ignored)) {
            devices.push_back(device);
        }
    }
    std::sort(devices.begin(), devices.end());  // so that each keeps its number
    return devices.empty() ? nullptr : std::make_unique<AmdMemory>(std::move(devices));
}

std::unique_ptr<GpuMemory> make_gpu_memory() {
    auto nvidia = make_nvidia_memory();
    return nvidia ? std::move(nvidia) : make_amd_memory("");
}

}  // namespace corral
