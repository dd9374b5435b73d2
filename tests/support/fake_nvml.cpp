// A stand-in for NVIDIA's libnvidia-ml.so.1 with two GPUs, for machines without any: the functions
// that Corral calls, as nvml.h declares them. The second GPU does not tell its memory.

namespace {

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
}
