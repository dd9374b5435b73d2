#pragma once
// Tells whether something is as it was: FNV-1a, 64 bit, over values of any kind, one after the
// other. For what changes by itself or by people, not for what somebody may forge. Any thread.

#include <cstdint>
#include <string_view>

namespace corral {

class Fingerprint {
public:
    /// Texts are told apart where they end, too: "ab", "c" is not "a", "bc".
    void add(std::string_view text) noexcept {
        for (const char c : text) {
            mix(static_cast<unsigned char>(c));
        }
        add(static_cast<std::uint64_t>(text.size()));
    }
    void add(std::uint64_t number) noexcept {
        for (int shift = 0; shift < 64; shift += 8) {
            mix(static_cast<unsigned char>(number >> static_cast<unsigned>(shift)));
        }
    }
    [[nodiscard]] std::uint64_t value() const noexcept { return value_; }

private:
    void mix(unsigned char byte) noexcept { value_ = (value_ ^ byte) * 0x100000001b3ULL; }

    std::uint64_t value_ = 0xcbf29ce484222325ULL;
};

}  // namespace corral
