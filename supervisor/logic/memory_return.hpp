#pragma once
// When the next model may start after one has ended: a GPU's driver gives memory back after the
// process has gone, not with it. Pure; fed with readings of the memory in use on all GPUs.

#include "core/time.hpp"

#include <cstdint>
#include <optional>

namespace corral {

class MemoryReturn {
public:
    /// How often to read while it is waited for, and for how long at most.
    static constexpr Duration interval = Duration(50);
    static constexpr Duration patience = Duration(5'000);
    /// What counts as back: this much of what the model had taken.
    static constexpr std::uint64_t percent_back = 75;
    /// A model that has taken less is not waited for: readings move that much by themselves.
    static constexpr std::uint64_t bytes_min = 64ULL << 20U;

    /// Readings of the memory in use, nothing where there is no GPU: before the model was started,
    /// when it was ready, and when it was told to end.
    void before_start(std::optional<std::uint64_t> used) noexcept;
    void at_ready(std::optional<std::uint64_t> used) noexcept;
    void at_stop(std::optional<std::uint64_t> used) noexcept;

    /// True when nothing has to be waited for any more: `used` now, `since` the process has gone.
    [[nodiscard]] bool is_back(std::optional<std::uint64_t> used, Duration since) const noexcept;
    /// What the model had taken; 0: not known, or nothing.
    [[nodiscard]] std::uint64_t taken() const noexcept { return taken_; }

private:
    std::optional<std::uint64_t> before_;
    std::uint64_t taken_ = 0;
    std::uint64_t last_ = 0;  ///< in use when the model still had its memory
};

}  // namespace corral
