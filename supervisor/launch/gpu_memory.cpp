// NVML is loaded when it is there, never linked: Corral runs on machines without a driver.

#include "supervisor/launch/gpu_memory.hpp"

#include "core/file.hpp"

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
using NvmlDevice = void*;
using NvmlCall = int (*)();
using NvmlCount = int (*)(unsigned*);
using NvmlHandle = int (*)(unsigned, NvmlDevice*);
using NvmlInfo = int (*)(NvmlDevice, NvmlMemory*);

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

private:
    Library library_;
    NvmlInfo info_of_ = nullptr;
    bool started_ = false;
    std::vector<NvmlDevice> devices_;
};

class AmdMemory final : public GpuMemory {
public:
    explicit AmdMemory(std::vector<std::string> files) : files_(std::move(files)) {}

    [[nodiscard]] std::optional<std::uint64_t> used() override {
        std::uint64_t sum = 0;
        bool any = false;
        for (const auto& file : files_) {
            const auto text = read_text_file(file, 64);
            std::uint64_t value = 0;
            if (text && std::from_chars(text->data(), text->data() + text->size(), value).ec ==
                            std::errc{}) {
                sum += value;
                any = true;
            }
        }
        return any ? std::optional(sum) : std::nullopt;
    }

private:
    std::vector<std::string> files_;
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
    std::vector<std::string> files;
    std::error_code error;
    for (fs::directory_iterator entry(root + "/sys/class/drm", error), end; !error && entry != end;
         entry.increment(error)) {
        const std::string name = entry->path().filename().string();
        const bool is_card = name.starts_with("card") && name.find('-') == std::string::npos;
        const fs::path file = entry->path() / "device/mem_info_vram_used";
        std::error_code ignored;
        if (is_card && fs::exists(file, ignored)) {
            files.push_back(file.string());
        }
    }
    return files.empty() ? nullptr : std::make_unique<AmdMemory>(std::move(files));
}

std::unique_ptr<GpuMemory> make_gpu_memory() {
    auto nvidia = make_nvidia_memory();
    return nvidia ? std::move(nvidia) : make_amd_memory("");
}

}  // namespace corral
