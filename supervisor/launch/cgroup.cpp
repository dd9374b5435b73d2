// Thin writes to cgroupfs (Documentation/admin-guide/cgroup-v2.rst) and the reading of the two
// files in /proc that say where it is.

#include "supervisor/launch/cgroup.hpp"

#include "core/file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <vector>

namespace corral {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t cgroup_file_bytes_max = 1 << 20;
constexpr std::string_view model_group = "model-";
constexpr std::string_view corral_group = "corral";
constexpr std::array delegate_names{"user.delegate", "trusted.delegate"};

std::string_view take_line(std::string_view& text) noexcept {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    return line;
}

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> out;
    while (!line.empty()) {
        const auto word = line.substr(0, line.find(' '));
        line.remove_prefix(std::min(line.size(), word.size() + 1));
        if (!word.empty()) {
            out.push_back(word);
        }
    }
    return out;
}

/// Blanks and backslashes of a path stand as \040 and the like in mountinfo.
std::string without_octal(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        unsigned value = 0;
        const auto* const digits = text.data() + i + 1;
        if (text[i] == '\\' && i + 3 < text.size() &&
            std::from_chars(digits, digits + 3, value, 8).ptr == digits + 3) {
            out += static_cast<char>(value);
            i += 3;
        } else {
            out += text[i];
        }
    }
    return out;
}

struct CgroupMount {
    std::string root;   ///< the group that is mounted
    std::string point;  ///< where
};

std::optional<CgroupMount> cgroup_mount(std::string_view mountinfo) {
    // id parent major:minor root point options [optional…] - type source super-options
    while (!mountinfo.empty()) {
        const auto words = words_of(take_line(mountinfo));
        const auto dash = std::find(words.begin(), words.end(), "-");
        if (words.size() > 5 && words.end() - dash > 1 && dash[1] == "cgroup2") {
            return CgroupMount{without_octal(words[3]), without_octal(words[4])};
        }
    }
    return std::nullopt;
}

std::string read_group_file(const std::string& path) {
    auto text = read_text_file(path, cgroup_file_bytes_max);
    return text ? std::move(*text) : std::string();
}

/// One write(2), as cgroupfs wants it: nothing is created or cut.
bool write_group_file(const std::string& path, std::string_view text) noexcept {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    ::close(fd);
    return written;
}

bool has_word(std::string_view text, std::string_view word) {
    const auto words = words_of(take_line(text));
    return std::find(words.begin(), words.end(), word) != words.end();
}

/// Every process of a group goes to one below it.
bool move_processes(const std::string& directory, const std::string& below) {
    if (::mkdir(below.c_str(), 0755) != 0 && errno != EEXIST) {
        return false;
    }
    const std::string listed = read_group_file(directory + "/cgroup.procs");
    for (std::string_view rest(listed); !rest.empty();) {
        const auto pid = take_line(rest);
        if (!pid.empty() && !write_group_file(below + "/cgroup.procs", pid) && errno != ESRCH) {
            return false;
        }
    }
    return true;
}

}  // namespace

std::optional<std::string> own_cgroup(std::string_view mountinfo, std::string_view cgroup) {
    const auto mount = cgroup_mount(mountinfo);
    std::optional<std::string> group;
    while (!cgroup.empty() && !group) {
        const auto line = take_line(cgroup);
        if (line.starts_with("0::/")) {
            group = std::string(line.substr(3));
        }
    }
    if (!mount || !group || group->find("/..") != std::string::npos) {
        return std::nullopt;
    }
    const std::string root = mount->root == "/" ? "" : mount->root;
    if (!group->starts_with(root) ||
        (group->size() > root.size() && (*group)[root.size()] != '/')) {
        return std::nullopt;
    }
    const std::string rest = group->substr(root.size());
    return rest == "/" ? mount->point : mount->point + rest;
}

std::uint64_t cgroup_count(std::string_view text, std::string_view key) noexcept {
    while (!text.empty()) {
        auto line = take_line(text);
        if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ') {
            line.remove_prefix(key.size() + 1);
            std::uint64_t value = 0;
            std::from_chars(line.data(), line.data() + line.size(), value);
            return value;
        }
    }
    return 0;
}

Cgroup::Cgroup(std::string directory) : directory_(std::move(directory)) {
    const std::string path = directory_ + "/cgroup.procs";
    const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    procs_ = fd < 0 ? -1 : ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (fd >= 0) {
        ::close(fd);
    }
    write_group_file(directory_ + "/memory.oom.group", "1");
}

Cgroup::~Cgroup() {
    if (procs_ >= 0) {
        ::close(procs_);
    }
    ::rmdir(directory_.c_str());  // fails while somebody is in it; the next start tries again
}

bool Cgroup::limit_memory(std::uint64_t bytes) {
    write_group_file(directory_ + "/memory.swap.max", "0");  // absent without swap
    return write_group_file(directory_ + "/memory.max", std::to_string(bytes));
}

bool Cgroup::holds(pid_t pid) const {
    const std::string listed = text_of("cgroup.procs");
    const std::string wanted = std::to_string(pid);
    for (std::string_view rest(listed); !rest.empty();) {
        if (take_line(rest) == wanted) {
            return true;
        }
    }
    return false;
}

bool Cgroup::kill() noexcept {
    return write_group_file(directory_ + "/cgroup.kill", "1");
}

std::uint64_t Cgroup::oom_kills() const {
    return cgroup_count(text_of("memory.events"), "oom_kill");
}

std::uint64_t Cgroup::limit_reached() const {
    return cgroup_count(text_of("memory.events"), "oom");
}

std::uint64_t Cgroup::peak() const {
    return cgroup_count("peak " + text_of("memory.peak"), "peak");
}

std::string Cgroup::text_of(std::string_view file) const {
    return read_group_file(fmt::format("{}/{}", directory_, file));
}

std::unique_ptr<CgroupHome> CgroupHome::open(const std::string& root,
                                             const IsDelegated& is_delegated) {
    const auto own = own_cgroup(read_group_file(root + "/proc/self/mountinfo"),
                                read_group_file(root + "/proc/self/cgroup"));
    if (!own) {
        return nullptr;
    }
    std::string directory = root + *own;
    const std::string parent = fs::path(directory).parent_path().string();
    const bool handed_down = is_delegated(directory);
    if (!handed_down && !is_delegated(parent)) {
        return nullptr;
    }
    if (!handed_down) {
        directory = parent;  // systemd's DelegateSubgroup= has put us below it already
    }
    if (!has_word(read_group_file(directory + "/cgroup.controllers"), "memory") ||
        ::access((directory + "/cgroup.subtree_control").c_str(), W_OK) != 0) {
        return nullptr;
    }
    auto home = std::make_unique<CgroupHome>(directory);
    home->remove_leftovers();
    const std::string ours = fmt::format("{}/{}", directory, corral_group);
    if ((handed_down && !move_processes(directory, ours)) ||
        !write_group_file(directory + "/cgroup.subtree_control", "+memory")) {
        return nullptr;
    }
    return home;
}

std::unique_ptr<Cgroup> CgroupHome::make() {
    const std::string directory = fmt::format("{}/{}{}", directory_, model_group, ++last_);
    if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) {
        return nullptr;
    }
    auto out = std::make_unique<Cgroup>(directory);
    return out->procs() >= 0 ? std::move(out) : nullptr;
}

void CgroupHome::remove_leftovers() const {
    std::error_code error;
    for (fs::directory_iterator entry(directory_, error), end; !error && entry != end;
         entry.increment(error)) {
        if (entry->path().filename().string().starts_with(model_group)) {
            ::rmdir(entry->path().c_str());  // fails while somebody is in it
        }
    }
}

bool is_delegated_by_systemd(const std::string& directory) {
    return std::any_of(delegate_names.begin(), delegate_names.end(), [&](const char* name) {
        std::array<char, 8> value{};
        return ::getxattr(directory.c_str(), name, value.data(), value.size()) == 1 &&
               value[0] == '1';
    });
}

}  // namespace corral
