// Everything at once, from seeds: requests, cancellations, crashes, failed launches, unloads, new
// configs and the end, in every order. Each request is answered once, nothing is left over.
#include "core/log.hpp"
#include "fakes.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

using namespace corral;
using namespace corral::test;
using std::chrono_literals::operator""s;

namespace {

class Chaos {
public:
    explicit Chaos(unsigned seed) : random_(seed), stage(make_config()) {
        stage.launcher.on_launch = [this](FakeProcess& process) {
            process.ignores_term = chance(20);
            if (chance(15)) {
                process.exit({false, 1}, chance(50) ? "Address already in use" : "bad");
            }
        };
    }
    bool chance(unsigned percent) { return random_() % 100 < percent; }
    std::string any_model() { return std::string(1, static_cast<char>('a' + random_() % 4)); }

    std::shared_ptr<Config> make_config() {
        std::vector<ModelConfig> models;
        for (const char* id : {"a", "b", "c", "d"}) {
            models.push_back(model(id));
            models.back().unload_timeout = 0s;
            models.back().health_check_timeout = std::chrono::seconds(random_() % 2 * 30);
            models.back().concurrency_limit = 1 + static_cast<std::uint32_t>(random_() % 3);
            if (random_() % 3 == 0) {
                models.back().cmd_stop = {"stop", "${PID}"};
            }
            if (random_() % 3 == 0) {
                models.back().argv.emplace_back("--more");
            }
        }
        if (random_() % 4 == 0) {
            models.pop_back();
        }
        auto config = config_of(models);
        config->groups = {GroupConfig{"g",
                                      random_() % 2 == 0,
                                      random_() % 2 == 0,
                                      random_() % 2 == 0,
                                      {ModelId("a"), ModelId("b")}}};
        return config;
    }

    void act() {
        switch (random_() % 12) {
            case 0:
            case 1:
            case 2:
            case 3:
                requests.push_back(stage.acquire(any_model()));
                break;
            case 4:
                if (auto* request = any_request()) {
                    request->signal.emit(asio::cancellation_type::terminal);
                }
                break;
            case 5:
            case 6:
                if (auto* request = any_request(); request != nullptr && request->granted()) {
                    *request->result = Error(Errc::cancelled, Blame::client, "released");
                }
                break;
            case 7:
                if (!stage.launcher.processes.empty()) {
                    auto& all = stage.launcher.processes;
                    all[random_() % all.size()]->exit({chance(50), 9}, "crash");
                }
                break;
            case 8:
                stage.start(unload_any(*stage.fleet, ModelId(any_model())));
                break;
            case 9:
                stage.prober.answer = chance(70)   ? FakeProber::Answer::yes
                                      : chance(50) ? FakeProber::Answer::no
                                                   : FakeProber::Answer::hang;
                break;
            case 10:
                if (chance(30)) {
                    stage.fleet->apply(make_config());
                }
                break;
            default:
                if (chance(30)) {
                    stage.launcher.refuse = Error(Errc::start_failed, Blame::upstream, "refused");
                } else {
                    stage.launcher.refuse.reset();
                }
        }
        for (auto turns = random_() % 4; turns > 0; --turns) {
            stage.io.restart();
            stage.io.poll_one();
        }
    }

    std::vector<std::shared_ptr<Pending>> requests;

private:
    static asio::awaitable<void> unload_any(Fleet& fleet, ModelId model) {
        const Result<void> ignored = co_await fleet.unload(std::move(model));
        static_cast<void>(ignored);
    }
    Pending* any_request() {
        return requests.empty() ? nullptr : requests[random_() % requests.size()].get();
    }
    std::mt19937 random_;

public:
    Stage stage;
};

}  // namespace

TEST_CASE(
    "whatever happens in whatever order, close ends everything and every request is answered") {
    spdlog::set_level(spdlog::level::err);
    for (unsigned seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        Chaos chaos(seed);
        Stage& s = chaos.stage;
        for (int i = 0; i < 150; ++i) {
            chaos.act();
        }
        const auto closed = s.start(s.fleet->close(Duration(seed % 2 == 0 ? 0 : 20)));
        for (const auto& process : s.launcher.processes) {
            if (process->ignores_term && chaos.chance(50)) {
                process->exit({false, 0});
            }
        }
        REQUIRE(s.until([&] { return *closed; }));
        REQUIRE(s.until([&] {
            return std::all_of(chaos.requests.begin(), chaos.requests.end(),
                               [](const auto& request) { return request->result.has_value(); });
        }));
        for (const auto& process : s.launcher.processes) {
            CHECK(process->dropped);
        }
        for (const auto& request : chaos.requests) {
            CHECK_FALSE(request->threw);
            request->result.reset();
        }
        for (const ModelStatus& status : s.fleet->models()) {
            CHECK(status.in_flight == 0);
            CHECK(status.waiting == 0);
            CHECK(status.pid == 0);
        }
        CHECK(s.prober.hanging == 0);
    }
    spdlog::set_level(spdlog::level::info);
}

TEST_CASE("…and a fleet that is dropped in the middle leaves no process and no open question") {
    spdlog::set_level(spdlog::level::err);
    for (unsigned seed = 1'001; seed <= 1'200; ++seed) {
        CAPTURE(seed);
        Chaos chaos(seed);
        Stage& s = chaos.stage;
        for (int i = 0; i < 60; ++i) {
            chaos.act();
        }
        s.settle();  // whoever is about to call the fleet has called it
        s.fleet.reset();
        REQUIRE(s.until([&] {
            return std::all_of(chaos.requests.begin(), chaos.requests.end(),
                               [](const auto& request) { return request->result.has_value(); });
        }));
        CHECK(s.until([&] {
            return std::all_of(s.launcher.processes.begin(), s.launcher.processes.end(),
                               [](const auto& process) { return process->dropped; });
        }));
    }
    spdlog::set_level(spdlog::level::info);
}
