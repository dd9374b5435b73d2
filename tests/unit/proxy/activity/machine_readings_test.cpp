// proxy/activity/machine_readings: what is read out of /proc.
#include "proxy/activity/machine_readings.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace corral::activity;

TEST_CASE("each core's time is read, and not that of all together") {
    // Guards: waiting for a disk is idle time, a guest's time does not count twice, and the lines
    // of other things are no cores.
    const auto cores = parse_core_times(
        "cpu  30 0 10 200 10 0 0 0 5 0\n"
        "cpu0 10 1 2 80 3 4 5 6 7 8\n"
        "cpu13 1 0 0 9\n"
        "cpufreq 1 2 3 4\n"
        "intr 1 2 3\n"
        "ctxt 99\n");
    REQUIRE(cores.size() == 2);
    CHECK(cores[0].core == "0");
    CHECK(cores[0].total == 10 + 1 + 2 + 80 + 3 + 4 + 5 + 6);
    CHECK(cores[0].idle == 83);
    CHECK(cores[1].core == "13");
    CHECK(cores[1].total == 10);
    CHECK(cores[1].idle == 9);
    CHECK(parse_core_times("").empty());
    CHECK(parse_core_times("cpu0").empty());
    CHECK(parse_core_times("cpu0 1 2 x 4 5\n").empty());
}

TEST_CASE("how busy a core was lies between 0 and 100") {
    // Guards: no tick between two looks, and counters that go back, are no division by zero and no
    // negative percentage.
    CHECK(busy_percent({"0", 100, 50}, {"0", 200, 75}) == doctest::Approx(75));
    CHECK(busy_percent({"0", 100, 50}, {"0", 100, 50}) == 0);
    CHECK(busy_percent({"0", 100, 50}, {"0", 90, 40}) == 0);
    CHECK(busy_percent({"0", 100, 50}, {"0", 110, 40}) == 100);
    CHECK(busy_percent({"0", 100, 50}, {"0", 110, 90}) == 0);
}

TEST_CASE("memory is read in bytes") {
    // Guards: the unit, and that lines are found by their names, wherever they stand.
    const auto memory = parse_memory(
        "MemTotal:       16000000 kB\nMemFree:         1000000 kB\nMemAvailable:    9000000 kB\n"
        "HugePages_Total:       0\nSwapTotal:       2000000 kB\nSwapFree:         500000 kB\n");
    REQUIRE(memory);
    CHECK(memory->total == 16'000'000ULL * 1024);
    CHECK(memory->free == 1'000'000ULL * 1024);
    CHECK(memory->available == 9'000'000ULL * 1024);
    CHECK(memory->swap_total == 2'000'000ULL * 1024);
    CHECK(memory->swap_free == 500'000ULL * 1024);
    CHECK(!parse_memory(""));
    CHECK(!parse_memory("MemTotal: many kB\n"));
}

TEST_CASE("the load average is three numbers or none") {
    // Guards: half of a reading is not taken for a whole one.
    const auto load = parse_load_average("0.50 1.25 12.00 3/456 7890\n");
    REQUIRE(load);
    CHECK((*load)[0] == doctest::Approx(0.5));
    CHECK((*load)[1] == doctest::Approx(1.25));
    CHECK((*load)[2] == doctest::Approx(12));
    CHECK(!parse_load_average(""));
    CHECK(!parse_load_average("0.50 x 1"));
}

TEST_CASE("what went through each interface is read from the right columns") {
    // Guards: received is the first, sent the ninth; a name may touch its number or hold a colon.
    const auto interfaces = parse_interfaces(
        "Inter-|   Receive                                                |  Transmit\n"
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets\n"
        "    lo: 100 1 0 0 0 0 0 0 200 1 0 0 0 0 0 0\n"
        "  eth0:12345678901 5 0 0 0 0 0 0 42 5 0 0 0 0 0 0\n"
        "eth0:1: 7 1 0 0 0 0 0 0 8 1 0 0 0 0 0 0\n"
        "short: 1 2 3\n");
    REQUIRE(interfaces.size() == 3);
    CHECK(interfaces[0].name == "lo");
    CHECK(interfaces[0].received == 100);
    CHECK(interfaces[0].sent == 200);
    CHECK(interfaces[1].name == "eth0");
    CHECK(interfaces[1].received == 12'345'678'901ULL);
    CHECK(interfaces[1].sent == 42);
    CHECK(interfaces[2].name == "eth0:1");
    CHECK(parse_interfaces("").empty());
}

TEST_CASE("the size of a process is its first two numbers") {
    // Guards: virtual and resident are not mixed up.
    const auto size = parse_process_size("5000 300 200 1 0 400 0\n");
    REQUIRE(size);
    CHECK(size->virtual_pages == 5000);
    CHECK(size->resident_pages == 300);
    CHECK(!parse_process_size("5000"));
    CHECK(!parse_process_size(""));
}

TEST_CASE("this machine and this process can be read") {
    // Guards: the paths, and that a file of /proc, whose size is 0, is read to its end.
    const MachineTexts texts = read_machine_texts();
    CHECK(!parse_core_times(texts.stat).empty());
    CHECK(parse_memory(texts.meminfo).value_or(MachineMemory()).total > 0);
    CHECK(parse_load_average(texts.loadavg).has_value());
    CHECK(parse_process_size(texts.statm).value_or(ProcessSize()).resident_pages > 0);
    const ProcessUse use = read_process_use();
    CHECK(use.page_bytes >= 4096);
    CHECK(use.open_files_max > 0);
}
