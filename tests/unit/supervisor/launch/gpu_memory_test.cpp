// The memory in use on AMD's GPUs, against directories that look like sysfs. NVIDIA's library is
// there or not: then there is a reading or none.

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

TEST_CASE("a machine without a GPU has no reading") {
    // Guards: whatever is installed here, asking does no harm and gives a reading or nothing.
    const auto memory = make_nvidia_memory();
    CHECK((!memory || memory->used()));
}
