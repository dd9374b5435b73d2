#pragma once
// The regular expressions of upstream.ignorePaths: paths that do not load a model. RE2, as Go's
// regexp is: linear time, whatever the pattern and the path. Matching: any thread.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace re2 {
class RE2;
}

namespace corral {

class PathPatterns {
public:
    PathPatterns() noexcept;
    /// A pattern that RE2 refuses matches nothing; a loaded Config holds none.
    explicit PathPatterns(const std::vector<std::string>& patterns);
    PathPatterns(PathPatterns&&) noexcept;
    PathPatterns& operator=(PathPatterns&&) noexcept;
    ~PathPatterns();

    /// True when one of the patterns is found anywhere in the path.
    [[nodiscard]] bool matches(std::string_view path) const;

private:
    std::vector<std::unique_ptr<re2::RE2>> compiled_;
};

/// What is meant when upstream.ignorePaths names nothing: pictures, scripts and style sheets.
[[nodiscard]] std::vector<std::string> default_ignore_paths();

/// Why RE2 refuses this pattern, in the words of Go's regexp; empty when it takes it.
[[nodiscard]] std::string path_pattern_mistake(std::string_view pattern);

}  // namespace corral
