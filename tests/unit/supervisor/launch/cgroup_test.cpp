// cgroup v2 against directories made to look like it: the kernel's part (who is killed, what is
// counted) only a delegated unit can show.

#include "supervisor/launch/cgroup.hpp"

#include "core/file.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>

using namespace corral;
namespace fs = std::filesystem;

namespace {

constexpr const char* mountinfo =
    "24 30 0:22 / /sys rw,nosuid - sysfs sysfs rw\n"
    "35 24 0:30 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n"
    "36 24 0:31 / /sys/fs/cgroup rw,nosuid shared:10 master:3 - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr const char* group = "1:name=systemd:/x\n0::/system.slice/corral.service\n";

/// A tree that looks like a machine's. Removed with the object.
class Machine {
public:
    Machine() {
        std::string name = (fs::temp_directory_path() / "corral-cgroup-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        root = name;
        write("/proc/self/mountinfo", mountinfo);
        write("/proc/self/cgroup", group);
        write(unit + "/cgroup.controllers", "cpu memory pids\n");
        write(unit + "/cgroup.subtree_control", "");
        write(unit + "/cgroup.procs", "11\n22\n");
        write(unit + "/corral/cgroup.procs", "");
        write(unit + "/model-1/cgroup.procs", "");
        for (const char* file :
             {"memory.max", "memory.swap.max", "memory.oom.group", "cgroup.kill"}) {
            write(unit + "/model-1/" + file, "");
        }
        write(unit + "/model-1/memory.events", "low 0\nhigh 0\nmax 7\noom 2\noom_kill 3\n");
        write(unit + "/model-1/memory.peak", "4096\n");
    }
    ~Machine() {
        std::error_code ignored;
        fs::remove_all(root, ignored);
    }
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    void write(const std::string& path, const std::string& text) const {
        fs::create_directories(fs::path(root + path).parent_path());
        std::ofstream(root + path) << text;
    }
    [[nodiscard]] std::string read(const std::string& path) const {
        const auto text = read_text_file(root + path, 4096);
        return text ? *text : "(none)";
    }
    [[nodiscard]] std::unique_ptr<CgroupHome> open(bool delegated = true) const {
        return CgroupHome::open(root, [&](const std::string& directory) {
            return delegated && directory == root + unit;
        });
    }

    std::string root;
    const std::string unit = "/sys/fs/cgroup/system.slice/corral.service";
};

}  // namespace

TEST_CASE("the own cgroup is found through mountinfo") {
    // Guards: hybrid hierarchies, mounts of a part of it, and paths with blanks.
    CHECK(own_cgroup(mountinfo, group) == "/sys/fs/cgroup/system.slice/corral.service");
    CHECK(own_cgroup(mountinfo, "0::/\n") == "/sys/fs/cgroup");
    CHECK(own_cgroup("36 24 0:31 /pod /my\\040groups rw - cgroup2 none rw\n", "0::/pod/a\n") ==
          "/my groups/a");
    CHECK(own_cgroup("36 24 0:31 /pod /g rw - cgroup2 none rw\n", "0::/pod\n") == "/g");
    CHECK(!own_cgroup("36 24 0:31 /pod /g rw - cgroup2 none rw\n", "0::/podium/a\n"));
    CHECK(!own_cgroup(mountinfo, "0::/../outside\n"));
    CHECK(!own_cgroup(mountinfo, "4:memory:/x\n"));
    CHECK(!own_cgroup("24 30 0:22 / /sys rw - sysfs sysfs rw\n", group));
    CHECK(!own_cgroup("36 24\nnonsense - \n - cgroup2\n", group));
    CHECK(!own_cgroup("", ""));
}

TEST_CASE("counts are read from flat keyed files") {
    // Guards: `oom` is not taken for `oom_kill`, nor the other way round.
    CHECK(cgroup_count("low 0\noom 2\noom_kill 3\noom_group_kill 1\n", "oom") == 2);
    CHECK(cgroup_count("low 0\noom 2\noom_kill 3\noom_group_kill 1\n", "oom_kill") == 3);
    CHECK(cgroup_count("low 0\n", "oom") == 0);
    CHECK(cgroup_count("oom x\n", "oom") == 0);
}

TEST_CASE("a delegated group is made ready and holds a group for a launch") {
    // Guards: processes leave the group before it gets controllers, which the kernel demands; the
    // limit, the joint end and the counts use the files that the kernel has for them.
    const Machine machine;
    const auto home = machine.open();
    REQUIRE(home);
    CHECK(machine.read(machine.unit + "/corral/cgroup.procs") == "22");
    CHECK(machine.read(machine.unit + "/cgroup.subtree_control") == "+memory");
    const auto made = home->make();
    REQUIRE(made);
    const std::string model = machine.unit + "/model-1";
    CHECK(made->limit_memory(4096));
    CHECK(machine.read(model + "/memory.max") == "4096");
    CHECK(machine.read(model + "/memory.swap.max") == "0");
    CHECK(machine.read(model + "/memory.oom.group") == "1");
    CHECK(!made->holds(33));
    REQUIRE(::write(made->procs(), "33\n", 3) == 3);
    CHECK(made->holds(33));
    CHECK(!made->holds(3));
    CHECK(made->kill());
    CHECK(machine.read(model + "/cgroup.kill") == "1");
    CHECK(made->oom_kills() == 3);
    CHECK(made->limit_reached() == 2);
    CHECK(made->peak() == 4096);
    CHECK(!home->make());  // its directory can be made, but has no files: no cgroup
}

TEST_CASE("a group that nobody handed down is left alone") {
    // Guards: Corral started from a terminal, as root even, moves nobody's processes.
    const Machine machine;
    CHECK(!machine.open(false));
    CHECK(machine.read(machine.unit + "/corral/cgroup.procs").empty());
    CHECK(machine.read(machine.unit + "/cgroup.subtree_control").empty());
}

TEST_CASE("a group without the memory controller is no use") {
    // Guards: then the limit is kept by looking, not believed to be kept.
    const Machine machine;
    machine.write(machine.unit + "/cgroup.controllers", "cpu pids\n");
    CHECK(!machine.open());
    CHECK(machine.read(machine.unit + "/corral/cgroup.procs").empty());
}

TEST_CASE("systemd's DelegateSubgroup= is understood") {
    // Guards: in the subgroup already, nobody is moved and the groups go beside it.
    const Machine machine;
    machine.write("/proc/self/cgroup", "0::/system.slice/corral.service/inner\n");
    machine.write(machine.unit + "/inner/cgroup.procs", "11\n");
    const auto home = machine.open();
    REQUIRE(home);
    CHECK(machine.read(machine.unit + "/corral/cgroup.procs").empty());
    CHECK(home->make());
}

TEST_CASE("an empty group that an earlier run left is removed") {
    // Guards: crashes do not fill the hierarchy with directories.
    const Machine machine;
    const std::string empty = machine.root + machine.unit + "/model-9";
    fs::create_directories(empty);
    const auto home = machine.open();
    CHECK(!fs::exists(empty));
}
