#pragma once
// What a model has started outside of its process tree (a container, something on another machine)
// and only its stop command can end: remembered on disk while the model runs, so that the guard or
// the next start of Corral ends it when Corral itself could not. Main thread. Writes small files
// without waiting for the disk: they are for the death of a process, not of the machine.

#include "supervisor/launch/process_tree.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corral {

/// One model that runs, and how to end what it started.
struct Leftover {
    std::string model;
    std::vector<std::string> stop;  ///< words of cmdStop; ${PID} still in them
    std::vector<std::string> env;   ///< NAME=value of the model
    pid_t pid = 0;                  ///< of its process; 0: not started yet
    std::uint64_t start_ticks = 0;
    std::string boot;  ///< the boot that pid and start_ticks belong to

    friend bool operator==(const Leftover&, const Leftover&) = default;
};

/// One line a word, with an end mark. Pure, both.
[[nodiscard]] std::string write_leftover(const Leftover& leftover);
/// Nothing when it is cut or not of this kind.
[[nodiscard]] std::optional<Leftover> parse_leftover(std::string_view text);

/// The words to run for a leftover: its own with ${PID} filled in. Nothing when they name the
/// process and its number belongs to another one now (`holder`: whoever has it): a pid alone never
/// identifies anything. Pure.
[[nodiscard]] std::optional<std::vector<std::string>> stop_words(
    const Leftover& leftover, std::string_view boot, const std::optional<ProcessInfo>& holder);

/// This boot of the machine; empty when it cannot be told.
[[nodiscard]] std::string boot_id();

/// The notes of one Corral. Each Corral has a directory of its own below `directory`, with a lock
/// that it holds for as long as it lives: who can take the lock knows that its owner has died.
class LeftoverBook {
public:
    /// Makes nothing yet. An empty `directory`: nothing can be remembered.
    explicit LeftoverBook(std::string directory) : directory_(std::move(directory)) {}
    ~LeftoverBook();
    LeftoverBook(const LeftoverBook&) = delete;
    LeftoverBook& operator=(const LeftoverBook&) = delete;

    /// Writes a note, replacing the one of this name. Failing is warned of once: no model stays
    /// down for it.
    void note(const std::string& name, const Leftover& leftover);
    void strike(const std::string& name) noexcept;

private:
    [[nodiscard]] bool open();

    const std::string directory_;
    std::string own_;  ///< empty until the first note
    int lock_ = -1;
    bool warned_ = false;
};

/// How long they may take, all together.
inline constexpr int leftovers_timeout_ms = 10'000;

/// Runs the stop commands of every Corral below `directory` that has died, side by side, for at
/// most `timeout_ms` (what is not done then is killed), and forgets them. Those of live ones are
/// left alone. `say` gets a sentence for each thing that somebody should know. Returns how many it
/// ran. Blocks; for the guard and the start of the server.
int stop_leftovers(const std::string& directory, int timeout_ms,
                   const std::function<void(const std::string&)>& say);

}  // namespace corral
