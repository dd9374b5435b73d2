#include "core/nearest.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

namespace corral {
namespace {

constexpr std::size_t name_bytes_max = 64;

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
    // Three rows of the table: two back (for swapped neighbours), the last, and the one being made.
    std::vector<std::size_t> before(b.size() + 1);
    std::vector<std::size_t> last(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(last.begin(), last.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const bool same = lower(a[i - 1]) == lower(b[j - 1]);
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0U : 1U)});
            const bool swapped = i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                                 lower(a[i - 2]) == lower(b[j - 1]);
            if (swapped) {
                row[j] = std::min(row[j], before[j - 2] + 1);
            }
        }
        before.swap(last);
        last.swap(row);
    }
    return last[b.size()];
}

std::string_view nearest_name(std::string_view wanted, std::span<const std::string_view> names) {
    if (wanted.empty() || wanted.size() > name_bytes_max) {
        return {};
    }
    std::string_view best;
    std::size_t best_distance = name_bytes_max;
    for (const auto name : names) {
        if (name.size() > name_bytes_max) {
            continue;
        }
        const auto distance = edit_distance(wanted, name);
        const auto allowed = std::max<std::size_t>(1, std::max(wanted.size(), name.size()) / 3);
        if (distance <= allowed && distance < best_distance) {
            best = name;
            best_distance = distance;
        }
    }
    return best;
}

}  // namespace corral
