// What an eviction question costs with a matrix of 60 models whose one set has 2^20 combinations:
//
//     build/release/tests/bench/bench_matrix
//
// Asked through the scheduler's router, each question many times, with more and more models
// running. The last matrix is made to be hard: no question may cost more than its bound of work.
#include "core/config_load.hpp"
#include "supervisor/logic/router.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <iomanip>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

using namespace corral;

namespace {

std::string name(std::size_t index) {
    return "m" + std::to_string(index);
}

/// Twenty choices of one of two, and twenty more models: `(m0|m1) & … & m40 & … & m59`.
std::string choices() {
    std::string out;
    for (std::size_t i = 0; i < 40; i += 2) {
        out += "(" + name(i) + " | " + name(i + 1) + ") & ";
    }
    for (std::size_t i = 40; i < 60; ++i) {
        out += name(i) + (i < 59 ? " & " : "");
    }
    return out;
}

/// All that may be chosen from, together: `m0 SIGN … SIGN m39`.
std::string joined(const std::string& sign) {
    std::string out = name(0);
    for (std::size_t i = 1; i < 40; ++i) {
        out += sign + name(i);
    }
    return out;
}

Config config_of(const std::string& sets) {
    std::string yaml = "models:\n";
    for (std::size_t i = 0; i < 60; ++i) {
        yaml += "  " + name(i) + ": {cmd: 'server ${PORT}'}\n";
    }
    yaml += "matrix:\n  sets:\n" + sets;
    const ConfigLoad loaded =
        load_config(yaml, "bench", [](const std::string&) { return std::optional<std::string>(); });
    return loaded.config.value();
}

/// Asks for m59 while the first `running` of m0, m1, … run, every `step`-th of them.
void ask(const std::string& title, const std::string& sets, std::size_t running, std::size_t step) {
    using Clock = std::chrono::steady_clock;
    const Config config = config_of(sets);
    const Router router(config);
    std::vector<Runner> runners;
    for (std::size_t i = 0; i < running; i += step) {
        runners.push_back({router.seat(ModelId(name(i))), false});
    }
    const Seat target = router.seat(ModelId(name(59)));
    std::vector<double> taken;
    Evictions answer;
    for (int round = 0; round < 1'000; ++round) {
        const auto start = Clock::now();
        answer = router.evictions(target, runners);
        taken.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
    }
    std::sort(taken.begin(), taken.end());
    std::cout << std::left << std::setw(46) << title << std::right << std::fixed
              << std::setprecision(1) << std::setw(5) << runners.size() << " running "
              << std::setw(5) << answer.positions.size() << " evicted  median " << std::setw(8)
              << taken[taken.size() / 2] << " us  p99 " << std::setw(8)
              << taken[taken.size() * 99 / 100] << " us" << (answer.exact ? "" : "  (rough)")
              << "\n";
}

}  // namespace

int main() {
    const std::string one = "    one: " + choices() + "\n";
    ask("2^20 combinations", one, 2, 1);
    ask("2^20 combinations, one of each choice", one, 40, 2);
    ask("2^20 combinations, both of each choice", one, 40, 1);
    std::string many;
    for (int i = 0; i < 100; ++i) {
        many += "    s" + std::to_string(i) + ": " + choices() + "\n";
    }
    ask("a hundred such sets", many, 40, 1);
    const std::string twice = "    hard: (" + joined(" | ") + ") & " + choices() + "\n";
    ask("every choice is named twice", twice, 40, 1);
    const std::string reused =
        "    half: " + choices() + "\n    hard: +half & (" + choices() + ")\n";
    ask("a set with itself, written twice", reused, 40, 1);
    return 0;
}
