// Myers' shortest edit script, cut short when it gets long; see unified_diff.hpp.

#include "discovery/unified_diff.hpp"

#include "discovery/config_blocks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace corral {

namespace {

using Lines = std::vector<std::string_view>;

/// More differing lines than this are not told apart: the work grows with their square.
constexpr std::ptrdiff_t edits_max = 2'000;
constexpr std::size_t context = 3;

struct Edit {
    char sign;  ///< ' ', '-' or '+'
    std::string_view line;
};

/// The furthest places reached after each number of edits, for walking back.
using Trace = std::vector<std::vector<std::ptrdiff_t>>;

/// Finds the shortest script from a to b; an empty trace when it is too long.
Trace find_trace(const Lines& a, const Lines& b) {
    const auto n = static_cast<std::ptrdiff_t>(a.size());
    const auto m = static_cast<std::ptrdiff_t>(b.size());
    const std::ptrdiff_t most = std::min(n + m, edits_max);
    std::vector<std::ptrdiff_t> furthest(static_cast<std::size_t>(2 * most + 3), 0);
    const auto at = [&](std::ptrdiff_t k) -> std::ptrdiff_t& {
        return furthest[static_cast<std::size_t>(k + most + 1)];
    };
    Trace trace;
    for (std::ptrdiff_t edits = 0; edits <= most; ++edits) {
        trace.push_back(
            {furthest.begin() + (most + 1 - edits - 1), furthest.begin() + (most + 1 + edits + 2)});
        for (std::ptrdiff_t k = -edits; k <= edits; k += 2) {
            const bool down = k == -edits || (k != edits && at(k - 1) < at(k + 1));
            std::ptrdiff_t x = down ? at(k + 1) : at(k - 1) + 1;
            while (x < n && x - k < m &&
                   a[static_cast<std::size_t>(x)] == b[static_cast<std::size_t>(x - k)]) {
                ++x;
            }
            at(k) = x;
            if (x >= n && x - k >= m) {
                return trace;
            }
        }
    }
    return {};
}

std::vector<Edit> script_of(const Lines& a, const Lines& b) {
    std::vector<Edit> script;
    const Trace trace = find_trace(a, b);
    if (trace.empty()) {
        for (const std::string_view line : a) {
            script.push_back({'-', line});
        }
        for (const std::string_view line : b) {
            script.push_back({'+', line});
        }
        return script;
    }
    auto x = static_cast<std::ptrdiff_t>(a.size());
    auto y = static_cast<std::ptrdiff_t>(b.size());
    for (auto edits = static_cast<std::ptrdiff_t>(trace.size()) - 1; edits >= 0; --edits) {
        const auto& furthest = trace[static_cast<std::size_t>(edits)];
        const auto at = [&](std::ptrdiff_t k) {
            return furthest[static_cast<std::size_t>(k + edits + 1)];
        };
        const std::ptrdiff_t k = x - y;
        const bool down = k == -edits || (k != edits && at(k - 1) < at(k + 1));
        const std::ptrdiff_t from_k = down ? k + 1 : k - 1;
        const std::ptrdiff_t from_x = edits == 0 ? 0 : at(from_k);
        const std::ptrdiff_t from_y = edits == 0 ? 0 : from_x - from_k;
        while (x > from_x && y > from_y) {
            script.push_back({' ', a[static_cast<std::size_t>(--x)]});
            --y;
        }
        if (edits > 0 && down) {
            script.push_back({'+', b[static_cast<std::size_t>(--y)]});
        } else if (edits > 0) {
            script.push_back({'-', a[static_cast<std::size_t>(--x)]});
        }
    }
    std::reverse(script.begin(), script.end());
    return script;
}

void add_line(std::string& out, const Edit& edit) {
    out += edit.sign;
    out += edit.line;
    if (!edit.line.ends_with('\n')) {
        out += "\n\\ No newline at end of file\n";
    }
}

std::string range(std::size_t begin, std::size_t count) {
    return count == 1 ? fmt::format("{}", begin + 1)
                      : fmt::format("{},{}", count == 0 ? begin : begin + 1, count);
}

}  // namespace

std::string unified_diff(std::string_view before, std::string_view after,
                         std::string_view before_name, std::string_view after_name) {
    const std::vector<Edit> script = script_of(split_lines(before), split_lines(after));
    std::string out;
    std::size_t old_line = 0;
    std::size_t new_line = 0;
    for (std::size_t i = 0; i < script.size();) {
        if (script[i].sign == ' ') {
            ++i, ++old_line, ++new_line;
            continue;
        }
        // A hunk: from some lines before this change to some behind the last one that is near.
        const std::size_t lead = std::min({context, i, old_line});
        std::size_t last = i;
        for (std::size_t j = i; j < script.size() && j <= last + 2 * context; ++j) {
            last = script[j].sign == ' ' ? last : j;
        }
        const std::size_t end = std::min(last + 1 + context, script.size());
        std::string body;
        std::size_t old_count = 0;
        std::size_t new_count = 0;
        for (std::size_t j = i - lead; j < end; ++j) {
            old_count += script[j].sign != '+' ? 1 : 0;
            new_count += script[j].sign != '-' ? 1 : 0;
            add_line(body, script[j]);
        }
        out += out.empty() ? fmt::format("--- {}\n+++ {}\n", before_name, after_name) : "";
        out += fmt::format("@@ -{} +{} @@\n{}", range(old_line - lead, old_count),
                           range(new_line - lead, new_count), body);
        old_line += old_count - lead;
        new_line += new_count - lead;
        i = end;
    }
    return out;
}

std::string line_changes(std::string_view before, std::string_view after) {
    std::string out;
    for (const Edit& edit : script_of(split_lines(before), split_lines(after))) {
        if (edit.sign != ' ') {
            out += edit.sign;
            out += edit.line;
            out += edit.line.ends_with('\n') ? "" : "\n";
        }
    }
    return out;
}

}  // namespace corral
