// The texts of /proc that speak of memory, and how often they are looked at.

#include "supervisor/launch/memory_use.hpp"

#include <doctest/doctest.h>

#include <unistd.h>

using namespace corral;

TEST_CASE("what cannot be taken back is read from a status") {
    // Guards: an engine's mapped weights do not count, or every model above its limit would die.
    CHECK(parse_status_memory("Name:\tRssAnon: 9\nVmRSS:\t  900 kB\nRssAnon:\t     100 kB\n"
                              "RssFile:\t     700 kB\nRssShmem:\t      20 kB\n") == 120 * 1024);
    CHECK(parse_status_memory("VmRSS:\t  900 kB\n") == 900 * 1024);
    CHECK(!parse_status_memory("Name:\tkthreadd\n"));
    CHECK(!parse_status_memory("VmRSS:\tmany kB\n"));
}

TEST_CASE("shares of pages are read from a roll-up") {
    // Guards: the exact look counts anonymous and shared memory only, too.
    CHECK(parse_rollup_memory("00400000-7ffd ---p 00000000 00:00 0  [rollup]\nRss: 9 kB\n"
                              "Pss:   50 kB\nPss_Anon:  10 kB\nPss_File: 35 kB\n"
                              "Pss_Shmem:  5 kB\n") == 15 * 1024);
    CHECK(parse_rollup_memory("Rss: 9 kB\nPss:   50 kB\n") == 50 * 1024);
    CHECK(!parse_rollup_memory(""));
}

TEST_CASE("the kernel's count of its kills is read") {
    // Guards: a kernel that does not count is not taken for one that has killed nobody.
    CHECK(parse_oom_kills("pgfault 7\noom_kill 3\nnuma_hit 1\n") == 3);
    CHECK(!parse_oom_kills("oom_killed 3\n"));
}

TEST_CASE("memory is looked at the more often the nearer its limit can be") {
    // Guards: an idle model costs four looks a second, one that grows is caught near its limit.
    constexpr std::uint64_t limit = 1'000;
    CHECK(next_memory_look(limit, 100, 100, Duration(100)) == Duration(250));
    CHECK(next_memory_look(limit, 50, 100, Duration(100)) == Duration(250));
    CHECK(next_memory_look(limit, 101, 100, Duration(100)) == Duration(250));
    CHECK(next_memory_look(limit, 600, 200, Duration(400)) == Duration(100));
    CHECK(next_memory_look(limit, 999, 100, Duration(100)) == Duration(20));
    CHECK(next_memory_look(limit, 2'000, 100, Duration(100)) == Duration(20));
    CHECK(next_memory_look(limit, 500, 100, Duration(0)) == Duration(250));
    CHECK(next_memory_look(~0ULL, ~0ULL - 1, 0, Duration(1)) == Duration(20));
}

TEST_CASE("a process's own memory can be measured both ways") {
    // Guards: the files are where this says and their units are right.
    const std::vector<pid_t> self{::getpid()};
    CHECK(memory_of(self) > 100 * 1024);
    CHECK(resident_of(self) > memory_of(self));
    CHECK(exact_memory_of(self) > 100 * 1024);
    CHECK(memory_of({}) == 0);
    CHECK(memory_of({999'999'999}) == 0);
}
