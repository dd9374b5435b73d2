// A stand-in for NVIDIA's libnvidia-ml.so.1 with two GPUs, for machines without any: the functions
// that Corral calls, as nvml.h declares them. The second GPU tells nothing but its name.

#include <cstdio>

namespace {

struct Rates {
    unsigned gpu;
    unsigned memory;
};
struct Memory {
    unsigned long long total;
    unsigned long long free;
    unsigned long long used;
};
int first_gpu = 0;
int second_gpu = 0;
constexpr int not_supported = 3;

}  // namespace

extern "C" {

int nvmlInit_v2() {
    return 0;
}
int nvmlShutdown() {
    return 0;
}
int nvmlDeviceGetCount_v2(unsigned* count) {
    *count = 2;
    return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
    *device = index == 0 ? &first_gpu : &second_gpu;
    return 0;
}
int nvmlDeviceGetMemoryInfo(void* device, Memory* memory) {
    if (device != &first_gpu) {
        return not_supported;
    }
    *memory = {1000, 400, 600};
    return 0;
}
int nvmlDeviceGetName(void* device, char* name, unsigned size) {
    std::snprintf(name, size, device == &first_gpu ? "First, GPU" : "Second GPU");
    return 0;
}
int nvmlDeviceGetUUID(void* device, char* uuid, unsigned size) {
    if (device != &first_gpu) {
        return not_supported;
    }
    std::snprintf(uuid, size, "GPU-1234");
    return 0;
}
int nvmlDeviceGetUtilizationRates(void* device, Rates* rates) {
    if (device != &first_gpu) {
        return not_supported;
    }
    *rates = {75, 25};
    return 0;
}
int nvmlDeviceGetTemperature(void* device, int sensor, unsigned* degrees) {
    *degrees = 61;
    return device == &first_gpu && sensor == 0 ? 0 : not_supported;
}
int nvmlDeviceGetPowerUsage(void* device, unsigned* milliwatts) {
    *milliwatts = 150'500;
    return device == &first_gpu ? 0 : not_supported;
}
}
