// A process chooses the name that stands in the middle of its /proc/PID/stat: whatever it is, the
// fields behind it are read as the kernel wrote them. Lists of listeners are read with no crash.

#include "supervisor/launch/port_finder.hpp"
#include "supervisor/launch/process_tree.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    (void)corral::parse_process_stat(text);
    (void)corral::shows_listener(text, 8080);
    const auto framed = "77 (" + std::string(text) +
                        ") S 1 70 60 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 123456 8192 1\n";
    const auto info = corral::parse_process_stat(framed);
    if (!info || info->pid != 77 || info->parent != 1 || info->session != 60 ||
        info->threads != 9 || info->start_ticks != 123456) {
        std::abort();
    }
    return 0;
}
