#pragma once
// The last output of a child, in bounded memory: lines as they came (escape sequences kept), each
// cut at 16 KiB, 64 KiB in all. Pure: takes bytes, gives text; one thread at a time.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace corral {

class OutputRing {
public:
    static constexpr std::size_t bytes_max = 64 * 1024;  ///< what is kept, line ends included
    static constexpr std::size_t line_bytes_max = 16 * 1024;
    static constexpr std::size_t shown_bytes_max = 512;  ///< of a line in last_lines()

    /// Takes the next bytes of the stream; any split gives the same result.
    void append(std::string_view bytes);
    /// The stream has ended: a last line without a line end counts as complete.
    void finish();

    /// The last complete lines that have something to show, oldest first, joined by newlines: valid
    /// UTF-8, no control characters but tabs, no escape sequences, of a line that rewrites itself
    /// with carriage returns what stood there last.
    [[nodiscard]] std::string last_lines(std::size_t count) const;

    /// Complete lines so far: the sequence number that the next one gets, the first being 0.
    [[nodiscard]] std::uint64_t line_count() const noexcept { return line_count_; }
    /// Bytes so far, dropped ones included.
    [[nodiscard]] std::uint64_t byte_count() const noexcept { return byte_count_; }

    /// Calls `see(sequence, line)` for each kept complete line from `sequence` on, raw, without its
    /// end. The views are good until the next append().
    template <class See>
    void each_line_from(std::uint64_t sequence, See&& see) const {
        std::uint64_t at = line_count_ - kept_lines_;
        for (std::string_view rest(data_); at < line_count_; ++at) {
            const auto end = rest.find('\n');
            if (at >= sequence) {
                see(at, rest.substr(0, end));
            }
            rest.remove_prefix(end + 1);
        }
    }

private:
    void store(std::string_view piece);
    void end_line();
    void make_room(std::size_t bytes);

    std::string data_;  ///< complete lines, each with its '\n', then the line that is not complete
    std::size_t open_bytes_ = 0;    ///< kept bytes of the incomplete line
    bool open_ = false;             ///< the incomplete line has begun, though all may be cut
    std::uint64_t kept_lines_ = 0;  ///< complete lines in data_
    std::uint64_t line_count_ = 0;
    std::uint64_t byte_count_ = 0;
};

/// One line as a person may see it: see OutputRing::last_lines(). At most `max` bytes, never cut
/// within a character. Pure.
[[nodiscard]] std::string presentable_line(std::string_view raw, std::size_t max);

}  // namespace corral
