#include "supervisor/launch/activity.hpp"

#include "supervisor/launch/process_tree.hpp"

#include <array>
#include <charconv>
#include <fcntl.h>
#include <string>
#include <unistd.h>

namespace corral {
namespace {

/// The number behind `name: ` at the start of a line.
std::optional<std::uint64_t> number_of(std::string_view text, std::string_view name) noexcept {
    while (!text.empty()) {
        const auto line = text.substr(0, text.find('\n'));
        if (line.starts_with(name)) {
            std::uint64_t value = 0;
            const auto digits = line.substr(name.size());
            const auto [end, failed] =
                std::from_chars(digits.data(), digits.data() + digits.size(), value);
            return failed == std::errc() ? std::optional(value) : std::nullopt;
        }
        text.remove_prefix(line.size() == text.size() ? text.size() : line.size() + 1);
    }
    return std::nullopt;
}

std::optional<std::uint64_t> bytes_read_by(pid_t pid) {
    const std::string path = "/proc/" + std::to_string(pid) + "/io";
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return std::nullopt;
    }
    std::array<char, 512> text{};
    const ssize_t size = ::read(fd, text.data(), text.size());
    ::close(fd);
    return size > 0 ? parse_bytes_read({text.data(), static_cast<std::size_t>(size)})
                    : std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> parse_bytes_read(std::string_view text) noexcept {
    const auto through_calls = number_of(text, "rchar: ");
    const auto from_storage = number_of(text, "read_bytes: ");
    if (!through_calls || !from_storage) {
        return std::nullopt;
    }
    return *through_calls + *from_storage;
}

std::optional<std::uint64_t> bytes_read_by_tree(pid_t root) {
    auto out = bytes_read_by(root);
    for (const ProcessInfo& below : descendants_of(root)) {
        if (const auto more = bytes_read_by(below.pid)) {
            out = out.value_or(0) + *more;
        }
    }
    return out;
}

}  // namespace corral
