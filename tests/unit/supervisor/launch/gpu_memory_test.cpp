// The memory in use on GPUs: AMD's against directories that look like sysfs, NVIDIA's against a
// library that looks like the driver's.

#include "supervisor/launch/gpu_memory.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>

using namespace corral;
namespace fs = std::filesystem;

TEST_CASE("the memory of all AMD cards is added up") {
    // Guards: connectors (card0-DP-1) are no cards, and cards without such a file are left out.
    std::string root = (fs::temp_directory_path() / "corral-gpu-XXXXXX").string();
    REQUIRE(::mkdtemp(root.data()) != nullptr);
    const auto write = [&](const std::string& card, const std::string& text) {
        const std::string folder = root + "/sys/class/drm/" + card + "/device";
        fs::create_directories(folder);
        std::ofstream(folder + "/mem_info_vram_used") << text;
    };
    CHECK(!make_amd_memory(root));
    write("card0", "1000\n");
    write("card1", "24\n");
    write("card0-DP-1", "5\n");
    fs::create_directories(root + "/sys/class/drm/card2/device");
    const auto memory = make_amd_memory(root);
    REQUIRE(memory);
    CHECK(memory->used() == 1024);
    write("card1", "nonsense");
    CHECK(memory->used() == 1000);
    fs::remove_all(root);
    CHECK(!memory->used());
}

TEST_CASE("the memory of NVIDIA's GPUs is asked of the driver's library") {
    // Guards: the functions' names and the order of their figures; a GPU that does not tell is left
    // out.
    const auto memory = make_nvidia_memory(CORRAL_FAKE_NVML);
    REQUIRE(memory);
    CHECK(memory->used() == 600);
}

TEST_CASE("each GPU of NVIDIA's tells what it can") {
    // Guards: what a dashboard shows is of the right GPU and in the right unit; a function that the
    // driver does not have (fans) and a GPU that does not tell leave a gap, not a zero.
    const auto memory = make_nvidia_memory(CORRAL_FAKE_NVML);
    REQUIRE(memory);
    const auto gpus = memory->readings();
    REQUIRE(gpus.size() == 2);
    CHECK(gpus[0].id == "0");
    CHECK(gpus[0].name == "First, GPU");
    CHECK(gpus[0].uuid == "GPU-1234");
    CHECK(gpus[0].memory_used_bytes == 600);
    CHECK(gpus[0].memory_total_bytes == 1000);
    CHECK(gpus[0].util_percent == 75);
    CHECK(gpus[0].memory_util_percent == 25);
    CHECK(gpus[0].temperature_celsius == 61);
    CHECK(gpus[0].power_draw_watts == doctest::Approx(150.5));
    CHECK(!gpus[0].fan_speed_percent);
    CHECK(gpus[1].id == "1");
    CHECK(gpus[1].name == "Second GPU");
    CHECK(gpus[1].uuid.empty());
    CHECK(!gpus[1].memory_used_bytes);
    CHECK(!gpus[1].power_draw_watts);
}

TEST_CASE("each AMD card tells what sysfs has of it") {
    // Guards: the cards' order, and that a file that is not there is a gap.
    std::string root = (fs::temp_directory_path() / "corral-gpu-XXXXXX").string();
    REQUIRE(::mkdtemp(root.data()) != nullptr);
    const auto write = [&](const std::string& card, const std::string& file, const char* text) {
        const std::string folder = root + "/sys/class/drm/" + card + "/device";
        fs::create_directories(folder);
        std::ofstream(folder + "/" + file) << text;
    };
    write("card1", "mem_info_vram_used", "24\n");
    write("card0", "mem_info_vram_used", "1000\n");
    write("card0", "mem_info_vram_total", "4000\n");
    write("card0", "gpu_busy_percent", "99\n");
    const auto memory = make_amd_memory(root);
    REQUIRE(memory);
    const auto gpus = memory->readings();
    REQUIRE(gpus.size() == 2);
    CHECK(gpus[0].name == "AMD card0");
    CHECK(gpus[0].memory_used_bytes == 1000);
    CHECK(gpus[0].memory_total_bytes == 4000);
    CHECK(gpus[0].util_percent == 99);
    CHECK(!gpus[0].memory_util_percent);
    CHECK(gpus[1].id == "1");
    CHECK(gpus[1].memory_used_bytes == 24);
    CHECK(!gpus[1].memory_total_bytes);
    fs::remove_all(root);
}

TEST_CASE("a machine without a driver has no reading") {
    // Guards: neither a library that is missing nor one that is another does any harm.
    CHECK(!make_nvidia_memory("libno-such-driver.so.1"));
    CHECK(!make_nvidia_memory("libc.so.6"));
}
