// Whatever a child prints, and however it is split, OutputRing stays within its bounds, shows the
// same lines, and shows only clean UTF-8.

#include "supervisor/launch/output_ring.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

/// Checks a text that is about to be shown: no control characters, no stray UTF-8 bytes.
void check_shown(std::string_view text) {
    std::size_t tail = 0;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        require(byte >= 0x20 || byte == '\t' || byte == '\n');
        require(byte != 0x7f);
        if (tail > 0) {
            require((byte & 0xC0) == 0x80);
            --tail;
        } else if (byte >= 0x80) {
            require(byte >= 0xC2 && byte < 0xF5);
            tail = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
        }
    }
    require(tail == 0);
}

void check_bounds(const corral::OutputRing& ring) {
    std::size_t bytes = 0;
    std::uint64_t next = 0;
    ring.each_line_from(0, [&](std::uint64_t sequence, std::string_view line) {
        require(line.size() <= corral::OutputRing::line_bytes_max);
        require(bytes == 0 || sequence == next);
        next = sequence + 1;
        bytes += line.size() + 1;
    });
    require(bytes <= corral::OutputRing::bytes_max);
    require(bytes == 0 || next == ring.line_count());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) {
        return 0;
    }
    const std::size_t step = 1 + data[0];
    const int rounds = 1 + data[1];  // so that short inputs fill the ring, too
    const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
    corral::OutputRing whole;
    corral::OutputRing split;
    for (int round = 0; round < rounds; ++round) {
        whole.append(text);
        for (std::size_t at = 0; at < text.size(); at += step) {
            split.append(text.substr(at, step));
        }
    }
    whole.finish();
    split.finish();
    check_bounds(whole);
    check_bounds(split);
    require(whole.line_count() == split.line_count());
    require(whole.byte_count() == split.byte_count());
    // Where the oldest lines are dropped may differ with the split; the newest 16 KiB are there.
    const auto shown = whole.last_lines(8);
    require(shown == split.last_lines(8) || rounds > 1);
    require(shown.size() <= 8 * (corral::OutputRing::shown_bytes_max + 1));
    check_shown(shown);
    return 0;
}
