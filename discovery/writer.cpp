// A config from nothing, and the mark of files that an older version wrote; declared in
// discovery.hpp.

#include "discovery/discovery.hpp"
#include "discovery/renew.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <utility>

namespace corral {

namespace {

constexpr std::string_view checksum_mark = "# checksum: ";
constexpr std::size_t checksum_digits = 16;

/// FNV-1a, 64 bit, as the older version has it.
std::string checksum(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325ULL;
    for (const char c : text) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    }
    return fmt::format("{:016x}", hash);
}

}  // namespace

Result<WrittenConfig> write_config(const Discovery& discovery, const WriteOptions& options) {
    RenewOptions from_nothing;
    from_nothing.write = options;
    Result<Renewal> renewal = renew_config(discovery, from_nothing);
    if (!renewal) {
        return renewal.error();
    }
    return std::move(renewal->written);
}

bool is_untouched(std::string_view yaml) {
    const std::size_t mark = yaml.find(checksum_mark);
    const std::size_t body = mark + checksum_mark.size() + checksum_digits + 1;
    return mark != std::string_view::npos && body <= yaml.size() &&
           yaml.substr(mark + checksum_mark.size(), checksum_digits) == checksum(yaml.substr(body));
}

}  // namespace corral
