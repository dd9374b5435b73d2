// core/file_watcher, file_stamps and debounce: every way in which a config file changes is noticed,
// what does not concern it is not. Real inotify in a directory of the test; no test sleeps: an
// event is in the queue before the call that caused it returns.
#include "core/file_watcher.hpp"

#include "core/debounce.hpp"
#include "core/file_stamps.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace fs = std::filesystem;
using namespace corral;

namespace {

class TemporaryDirectory {
public:
    TemporaryDirectory() {
        std::string name = (fs::temp_directory_path() / "corral-watch-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory() { fs::remove_all(path_); }
    [[nodiscard]] fs::path operator/(const char* name) const { return path_ / name; }
    [[nodiscard]] const fs::path& path() const { return path_; }

private:
    fs::path path_;
};

void write(const fs::path& path, const char* text) {
    std::ofstream(path) << text;
}

struct Scene {
    Scene() : watcher(FileWatcher::open().value()) {}
    void begin(std::vector<fs::path> of) {
        inputs = std::move(of);
        REQUIRE(watcher.watch(inputs));
        (void)watcher.on_readable();
    }
    /// Whether something happened since the last look. Watches anew then, as a user does.
    bool changed() {
        pollfd ready{watcher.descriptor(), POLLIN, 0};
        const bool any = ::poll(&ready, 1, 0) == 1 && watcher.on_readable();
        if (any) {
            REQUIRE(watcher.watch(inputs));
            (void)watcher.on_readable();
        }
        return any;
    }
    TemporaryDirectory dir;
    FileWatcher watcher;
    std::vector<fs::path> inputs;
};

}  // namespace

TEST_CASE("a file that is written in place counts when it is closed, not before") {
    // Guards: nobody reads a half-written config.
    Scene s;
    write(s.dir / "config.yaml", "a");
    s.begin({s.dir / "config.yaml"});
    CHECK_FALSE(s.changed());
    {
        std::ofstream out(s.dir / "config.yaml");
        out << "half" << std::flush;
        CHECK_FALSE(s.changed());
    }
    CHECK(s.changed());
    CHECK_FALSE(s.changed());
}

TEST_CASE("a file that is renamed over the input counts, again and again") {
    // Guards: editors that save atomically.
    Scene s;
    write(s.dir / "config.yaml", "a");
    s.begin({s.dir / "config.yaml"});
    for (int i = 0; i < 3; ++i) {
        write(s.dir / "config.yaml.new", "b");
        CHECK_FALSE(s.changed());
        fs::rename(s.dir / "config.yaml.new", s.dir / "config.yaml");
        CHECK(s.changed());
    }
}

TEST_CASE("a file that is deleted and written again counts both times") {
    // Guards: the watch is on the directory, so it survives the file.
    Scene s;
    write(s.dir / "config.yaml", "a");
    s.begin({s.dir / "config.yaml"});
    fs::remove(s.dir / "config.yaml");
    CHECK(s.changed());
    {
        std::ofstream out(s.dir / "config.yaml");
        CHECK_FALSE(s.changed());  // made, and still being written
        out << "b";
    }
    CHECK(s.changed());
}

TEST_CASE("a hard link that becomes the input counts, though nobody writes it") {
    // Guards: the other way to put a whole file into place.
    Scene s;
    write(s.dir / "new", "");
    s.begin({s.dir / "config.yaml"});
    fs::create_hard_link(s.dir / "new", s.dir / "config.yaml");
    CHECK(s.changed());
}

TEST_CASE("a link on the way that is swapped counts, and what it leads to is watched then") {
    // Guards: Kubernetes' ConfigMap: config.yaml -> ..data/config.yaml, ..data -> a new directory.
    Scene s;
    fs::create_directory(s.dir / "..1");
    fs::create_directory(s.dir / "..2");
    write(s.dir / "..1/config.yaml", "a");
    write(s.dir / "..2/config.yaml", "b");
    fs::create_directory_symlink("..1", s.dir / "..data");
    fs::create_symlink("..data/config.yaml", s.dir / "config.yaml");
    s.begin({s.dir / "config.yaml"});
    write(s.dir / "..2/config.yaml", "not yet");
    CHECK_FALSE(s.changed());
    fs::create_directory_symlink("..2", s.dir / "..tmp");
    fs::rename(s.dir / "..tmp", s.dir / "..data");
    CHECK(s.changed());
    fs::remove_all(s.dir / "..1");
    CHECK_FALSE(s.changed());
    write(s.dir / "..2/config.yaml", "now");
    CHECK(s.changed());
}

TEST_CASE("a directory on the way that is a link, or is renamed, or does not exist yet") {
    // Guards: /srv/current/config.yaml with `current` swapped, and a whole tree that is moved.
    Scene s;
    fs::create_directories(s.dir / "release-1/etc");
    fs::create_directories(s.dir / "release-2/etc");
    fs::create_directory_symlink(s.dir / "release-1", s.dir / "current");
    s.begin({s.dir / "current/etc/config.yaml"});
    write(s.dir / "release-1/etc/config.yaml", "a");
    CHECK(s.changed());
    fs::remove(s.dir / "current");
    CHECK(s.changed());
    fs::create_directory_symlink(s.dir / "release-2", s.dir / "current");
    CHECK(s.changed());
    write(s.dir / "release-2/etc/config.yaml", "b");
    CHECK(s.changed());
    fs::rename(s.dir / "release-2", s.dir / "moved");
    CHECK(s.changed());
    fs::create_directories(s.dir / "release-2");
    CHECK(s.changed());
    fs::create_directories(s.dir / "release-2/etc");
    CHECK(s.changed());
    write(s.dir / "release-2/etc/config.yaml", "c");
    CHECK(s.changed());
}

TEST_CASE("of a directory every entry counts, of a file's directory only the file") {
    // Guards: --config-dir, and that a busy directory does not reload the config all day.
    Scene s;
    fs::create_directory(s.dir / "conf.d");
    write(s.dir / "config.yaml", "a");
    s.begin({s.dir / "config.yaml", s.dir / "conf.d"});
    write(s.dir / "neighbour.yaml", "a");
    CHECK_FALSE(s.changed());
    write(s.dir / "conf.d/10-more.yaml", "a");
    CHECK(s.changed());
    fs::rename(s.dir / "conf.d/10-more.yaml", s.dir / "conf.d/20-more.yaml");
    CHECK(s.changed());
    fs::remove(s.dir / "conf.d/20-more.yaml");
    CHECK(s.changed());
    fs::remove(s.dir / "conf.d");
    CHECK(s.changed());
    fs::create_directory(s.dir / "conf.d");
    CHECK(s.changed());
    write(s.dir / "conf.d/30-more.yaml", "a");
    CHECK(s.changed());
}

TEST_CASE("a file that becomes readable counts; a circle of links does not hang") {
    // Guards: a load that failed for want of permission is tried again; `follow` ends.
    Scene s;
    write(s.dir / "config.yaml", "a");
    fs::create_symlink("b", s.dir / "a");
    fs::create_symlink("a", s.dir / "b");
    s.begin({s.dir / "config.yaml", s.dir / "a"});
    fs::permissions(s.dir / "config.yaml", fs::perms::owner_read);
    CHECK(s.changed());
    fs::remove(s.dir / "b");
    CHECK(s.changed());
}

TEST_CASE("a relative path with dots is followed as the kernel follows it") {
    // Guards: `--config ../x/config.yaml`; a `..` behind a link leaves the link's target.
    Scene s;
    fs::create_directories(s.dir / "real/inner");
    fs::create_directory(s.dir / "conf");
    fs::create_directory_symlink(s.dir / "real/inner", s.dir / "link");
    const fs::path input = s.dir.path() / "conf/../link/../config.yaml";
    s.begin({fs::relative(s.dir.path()) / "conf/../link/../config.yaml"});
    write(s.dir / "config.yaml", "a");
    CHECK_FALSE(s.changed());
    write(s.dir / "real/config.yaml", "a");
    CHECK(fs::exists(input));
    CHECK(s.changed());
}

TEST_CASE("more events than the queue holds count as a change") {
    // Guards: what was lost may have been the one that mattered.
    Scene s;
    write(s.dir / "config.yaml", "a");
    s.begin({s.dir / "config.yaml"});
    std::size_t limit = 16'384;
    std::ifstream("/proc/sys/fs/inotify/max_queued_events") >> limit;
    if (limit > 200'000) {
        return;
    }
    // Two names in turn: equal events in a row are one.
    const std::array names{(s.dir / "x").string(), (s.dir / "y").string()};
    write(s.dir / "x", "");
    write(s.dir / "y", "");
    for (std::size_t i = 0; i <= limit; ++i) {
        REQUIRE(::chmod(names[i % 2].c_str(), 0600) == 0);
    }
    CHECK(s.changed());
    CHECK_FALSE(s.changed());
}

TEST_CASE("stamps: a change counts once it has settled, and once") {
    // Guards: the fallback sees what inotify sees, later.
    const TemporaryDirectory dir;
    const std::vector<fs::path> inputs{dir / "config.yaml", dir / "conf.d"};
    fs::create_directory(dir / "conf.d");
    write(dir / "config.yaml", "a");
    FileStamps stamps;
    CHECK_FALSE(stamps.changed(inputs));
    CHECK_FALSE(stamps.changed(inputs));
    write(dir / "config.yaml", "longer");
    CHECK_FALSE(stamps.changed(inputs));  // perhaps somebody still writes
    write(dir / "config.yaml", "longer yet");
    CHECK_FALSE(stamps.changed(inputs));
    CHECK(stamps.changed(inputs));
    CHECK_FALSE(stamps.changed(inputs));
    write(dir / "conf.d/more.yaml", "a");
    CHECK_FALSE(stamps.changed(inputs));
    CHECK(stamps.changed(inputs));
    fs::remove(dir / "config.yaml");
    CHECK_FALSE(stamps.changed(inputs));
    CHECK(stamps.changed(inputs));
    CHECK_FALSE(stamps.changed(inputs));
}

TEST_CASE("debounce: due after quiet, at the latest after the longest time, then anew") {
    // Guards: one save is one reload, and a stream of changes does not put it off for ever.
    const TimePoint start{Duration(1'000'000)};
    Debounce debounce(Duration(200), Duration(2'000));
    CHECK_FALSE(debounce.due());
    debounce.note(start);
    CHECK(debounce.due() == start + Duration(200));
    debounce.note(start + Duration(150));
    CHECK(debounce.due() == start + Duration(350));
    for (int at = 200; at <= 1'950; at += 150) {
        debounce.note(start + Duration(at));
    }
    CHECK(debounce.due() == start + Duration(2'000));
    debounce.clear();
    CHECK_FALSE(debounce.due());
    debounce.note(start + Duration(5'000));
    CHECK(debounce.due() == start + Duration(5'200));
}
