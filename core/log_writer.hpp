#pragma once
// Log files with rotation, written by a thread of their own, so that no disk ever delays the loop:
// the only thread beside the main one. add() is for one thread; nothing else here is shared.

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace corral {

class LogWriter {
public:
    struct Settings {
        std::string directory;                    ///< made when it is missing; empty: no files
        std::size_t file_bytes_max = 10U << 20U;  ///< a larger file is moved on
        std::size_t files_max = 5;  ///< of one name, the one that grows included; >= 1
        friend bool operator==(const Settings&, const Settings&) = default;
    };
    /// Who said it: Corral itself (empty) or a model.
    using OnLine = std::function<void(std::string_view model, std::string_view line)>;

    /// Lines that wait for the disk take no more than this; what comes beyond is dropped.
    static constexpr std::size_t waiting_bytes_max = 4U << 20U;

    /// Starts the thread. `also` is called in it for each line: another slow place for them. It may
    /// be empty.
    LogWriter(Settings settings, OnLine also);
    /// Writes what waits and ends the thread; one that hangs at a disk for 2 s is left behind.
    ~LogWriter();
    LogWriter(const LogWriter&) = delete;
    LogWriter& operator=(const LogWriter&) = delete;

    /// Takes a line, without its line end; never waits.
    void add(std::string_view model, std::string_view line);
    /// What went wrong since the last call: which file, why, how many lines were lost. Cheap.
    [[nodiscard]] std::optional<std::string> take_problem();
    [[nodiscard]] const Settings& settings() const noexcept;

private:
    struct Shared;
    std::shared_ptr<Shared> shared_;
};

/// The name of a model's file: its id with everything but letters, digits, `.`, `_` and `-`
/// percent-encoded, cut at 200 bytes; `corral.log` for an empty id and for no other. Pure.
[[nodiscard]] std::string log_file_name(std::string_view model);

}  // namespace corral
