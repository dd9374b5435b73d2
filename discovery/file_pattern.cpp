// Matching with one step back to the last star; see file_pattern.hpp.

#include "discovery/file_pattern.hpp"

#include <cstddef>

namespace corral {

namespace {

char small(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool matches(std::string_view pattern, std::string_view text) noexcept {
    std::size_t p = 0;
    std::size_t t = 0;
    std::size_t star = std::string_view::npos;  // the last one met
    std::size_t resume = 0;                     // how much of the text it has taken
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            resume = t;
        } else if (p < pattern.size() &&
                   (pattern[p] == '?' || small(pattern[p]) == small(text[t]))) {
            ++p;
            ++t;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            t = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') {
        ++p;
    }
    return p == pattern.size();
}

}  // namespace

bool matches_file(std::string_view pattern, std::string_view path) noexcept {
    const bool whole = pattern.find('/') != std::string_view::npos;
    return matches(pattern, whole ? path : path.substr(path.find_last_of('/') + 1));
}

}  // namespace corral
