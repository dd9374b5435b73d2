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

TEST_CASE("a machine without a driver has no reading") {
    // Guards: neither a library that is missing nor one that is another does any harm.
    CHECK(!make_nvidia_memory("libno-such-driver.so.1"));
    CHECK(!make_nvidia_memory("libc.so.6"));
}
