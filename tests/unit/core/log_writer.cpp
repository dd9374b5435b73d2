// core/log_writer: every line in its file, old files moved on, and a disk that fails told of. Runs
// under the thread sanitizer, too (.ci/run): it is the only thread beside the main one.
#include "core/log_writer.hpp"

#include "core/file.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <optional>
#include <string>

using namespace corral;
namespace fs = std::filesystem;

namespace {

struct Folder {
    Folder() {
        std::string name = (fs::temp_directory_path() / "corral-log-XXXXXX").string();
        path = mkdtemp(name.data());
    }
    ~Folder() { fs::remove_all(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    std::string path;

    std::string read(const std::string& name) const {
        const auto text = read_text_file(path + "/" + name, 64U << 20U);
        return text ? *text : "(not there)";
    }
};

/// Without the time that stands before a model's line.
std::string without_times(const std::string& text) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = text.find('\n', at);
        out += text.substr(at, end - at).substr(25) + "\n";
        at = end + 1;
    }
    return out;
}

}  // namespace

TEST_CASE("a log writer puts each line into the file of who said it") {
    const Folder folder;
    {
        LogWriter writer({folder.path + "/new", 1U << 20U, 5}, nullptr);
        writer.add("a", "one");
        writer.add("", "own");
        writer.add("org/b", "two");
        writer.add("a", "three");
    }
    CHECK(without_times(folder.read("new/a.log")) == "one\nthree\n");
    CHECK(without_times(folder.read("new/org%2Fb.log")) == "two\n");
    CHECK(folder.read("new/corral.log") == "own\n");
    CHECK(folder.read("new/a.log")[10] == 'T');
    const auto private_file = fs::perms::owner_read | fs::perms::owner_write;
    CHECK(fs::status(folder.path + "/new/a.log").permissions() == private_file);
}

TEST_CASE("a log writer moves full files on and keeps as many as it was told") {
    const Folder folder;
    {
        LogWriter writer({folder.path, 200, 3}, nullptr);
        for (int i = 0; i < 100; ++i) {
            writer.add("a", "line " + std::to_string(i));
        }
    }
    CHECK(folder.read("a.log").ends_with("line 99\n"));
    CHECK(fs::exists(folder.path + "/a.log.1"));
    CHECK(fs::exists(folder.path + "/a.log.2"));
    CHECK_FALSE(fs::exists(folder.path + "/a.log.3"));
    std::string all = folder.read("a.log.2") + folder.read("a.log.1") + folder.read("a.log");
    all = without_times(all);
    int next = 100 - static_cast<int>(std::count(all.begin(), all.end(), '\n'));
    CHECK(next > 50);
    std::string expected;
    for (; next < 100; ++next) {
        expected += "line " + std::to_string(next) + "\n";
    }
    CHECK(all == expected);
}

TEST_CASE("a log writer goes on where an earlier one has stopped") {
    const Folder folder;
    for (const char* line : {"first", "second"}) {
        LogWriter writer({folder.path, 1U << 20U, 1}, nullptr);
        writer.add("a", line);
    }
    CHECK(without_times(folder.read("a.log")) == "first\nsecond\n");
}

TEST_CASE("a log writer tells of a file that it cannot write, and how much is lost") {
    const Folder folder;
    REQUIRE(write_file_atomically(folder.path + "/file", "x"));
    std::atomic<int> seen = 0;
    std::promise<void> both;
    LogWriter writer({folder.path + "/file", 1U << 20U, 5},
                     [&](std::string_view, std::string_view) {
                         if (++seen == 3) {
                             both.set_value();
                         }
                     });
    CHECK_FALSE(writer.take_problem());
    writer.add("a", "1");
    writer.add("a", "2");
    writer.add("a", "3");  // when this one is seen, the first two have failed
    both.get_future().wait();
    const auto problem = writer.take_problem();
    REQUIRE(problem);
    CHECK(problem->find("cannot write " + folder.path + "/file/a.log: ") == 0);
    CHECK(problem->find("lines are lost") != std::string::npos);
}

TEST_CASE("a log writer drops what the disk is too slow for, and never waits") {
    std::promise<void> may_go_on;
    std::atomic<std::size_t> written = 0;
    std::optional<std::string> problem;
    constexpr std::size_t line_bytes = 16 * 1024;
    constexpr std::size_t lines = 1'000;
    {
        LogWriter writer({}, [&, hold = may_go_on.get_future().share()](auto, auto) {
            hold.wait();
            ++written;
        });
        for (std::size_t i = 0; i < lines; ++i) {
            writer.add("a", std::string(line_bytes, 'x'));
        }
        problem = writer.take_problem();
        may_go_on.set_value();
    }
    REQUIRE(problem);
    CHECK(problem->find("the disk is too slow; ") == 0);
    CHECK(written <= 2 * LogWriter::waiting_bytes_max / line_bytes);
    CHECK(written > 0);
}

TEST_CASE("names of log files are safe, and no two ids share one") {
    struct Row {
        std::string id, name;
    };
    const Row rows[] = {{"", "corral.log"},
                        {"corral", "%63orral.log"},
                        {"llama3.2:1b", "llama3.2%3A1b.log"},
                        {"../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd.log"},
                        {".hidden", "%2Ehidden.log"},
                        {"a\nb", "a%0Ab.log"},
                        {"é", "%C3%A9.log"}};
    for (const Row& row : rows) {
        CHECK(log_file_name(row.id) == row.name);
    }
    const std::string long_one(300, 'x');
    CHECK(log_file_name(long_one).size() <= 204);
    CHECK(log_file_name(long_one) != log_file_name(long_one + "y"));
}
