// Runs the cases of tests/cases/config: what a config means, or what is said to it, as data. The
// format is told in tests/cases/config/README.md. Each case that fails is named.
#include "core/config_dump.hpp"
#include "core/file.hpp"
#include "core/load/report.hpp"
#include "core/load/yaml_tree.hpp"
#include "tests/unit/core/json_of.hpp"
#include "tests/unit/core/load_support.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

using namespace corral;
using Json = nlohmann::ordered_json;

namespace {

/// Files of cases for what is known to be missing end so.
bool is_pending(const std::filesystem::path& file) {
    return file.filename().string().ends_with("pending.yaml");
}

/// The cases of one file, as JSON.
Json read_cases(const std::filesystem::path& file) {
    auto text = read_text_file(file.string(), 1U << 20U);
    REQUIRE(text.has_value());
    load::Report report(*text, file.filename().string());
    const auto as_written = [](const std::string& name) -> std::optional<std::string> {
        return "${env." + name + "}";
    };
    const auto tree = load::parse_yaml(*text, as_written, report);
    for (const auto& diagnostic : report.take()) {
        FAIL(format_diagnostic(diagnostic, false));
    }
    REQUIRE(tree);
    return test::json_of(*tree->root);
}

/// What a case can ask for besides the dump: secrets as they are, and what Corral derives.
Json derived(const Config& config) {
    Json out;
    out["apiKeys"] = config.api_keys;
    out["ports"] = Json::object();
    for (const ModelConfig& model : config.models) {
        if (model.port != 0) {
            out["ports"][model.id.str()] = model.port;
        }
        out["argv"][model.id.str()] = model.argv;
        out["env"][model.id.str()] = model.env;
    }
    for (const PeerConfig& peer : config.peers) {
        out["peerKeys"][peer.id] = peer.api_key;
    }
    for (const MatrixSet& set : config.matrix.sets) {
        out["matrixSets"].push_back(set.name);
    }
    for (const GroupConfig& group : config.groups) {
        if (group.id != "(default)") {
            continue;
        }
        out["defaultGroup"] = {{"swap", group.swap},
                               {"exclusive", group.exclusive},
                               {"persistent", group.persistent},
                               {"members", Json::array()}};
        for (const ModelId& member : group.members) {
            out["defaultGroup"]["members"].push_back(member.str());
        }
    }
    return out;
}

/// `/a/b` is a JSON pointer; `a.b` is the same with dots, where no key holds one.
nlohmann::json::json_pointer pointer_of(std::string path) {
    if (!path.starts_with('/')) {
        std::replace(path.begin(), path.end(), '.', '/');
        path.insert(0, 1, '/');
    }
    return nlohmann::json::json_pointer(path);
}

/// Several files as one: config.yaml first, then the others by name.
ConfigLoad load_files(const Json& files, const test::Variables& variables) {
    constexpr std::string_view first = "config.yaml";
    std::vector<ConfigText> texts;
    for (const auto& [name, text] : files.items()) {
        texts.push_back({name, text.get<std::string>()});
    }
    std::sort(texts.begin(), texts.end(), [&](const ConfigText& a, const ConfigText& b) {
        return std::pair(a.name != first, a.name) < std::pair(b.name != first, b.name);
    });
    return load_config(texts, [&](const std::string& name) -> std::optional<std::string> {
        const auto at = variables.find(name);
        return at != variables.end() ? std::optional(at->second) : std::nullopt;
    });
}

/// One case, run; collects what is not as expected.
class Case {
public:
    explicit Case(const Json& description) : description_(description) {}

    std::vector<std::string> run() {
        load();
        const Json& expect = description_.at("expect");
        for (const auto& [what, wanted] : expect.items()) {
            if (what == "values" || what == "absent") {
                check_dump(what, wanted);
            } else if (what == "error" || what == "warning") {
                check_said(what, wanted);
            } else if (what == "clean") {
                check_clean();
            } else if (what == "never") {
                check_never(wanted.get<std::string>());
            } else if (what != "line" && what != "file") {
                fail("the case expects " + what + ", which there is not");
            }
        }
        return std::move(failures_);
    }

private:
    void fail(const std::string& what) { failures_.push_back(what); }

    void load() {
        test::Variables variables;
        const Json env = description_.value("env", Json::object());
        for (const auto& [name, value] : env.items()) {
            variables[name] = value.get<std::string>();
        }
        loaded_ = description_.contains("files")
                      ? load_files(description_.at("files"), variables)
                      : test::load(description_.at("config").get<std::string>(), variables);
        if (loaded_.config) {
            dump_ = Json::parse(dump_config_json(*loaded_.config));
            dump_["derived"] = derived(*loaded_.config);
        }
    }

    void check_dump(const std::string& what, const Json& wanted) {
        if (!loaded_.config) {
            fail("it does not load" + test::all_of(loaded_));
            return;
        }
        const nlohmann::json dump = dump_;  // not ordered: a mapping's order is nobody's business
        if (what == "absent") {
            for (const auto& path : wanted) {
                if (dump.contains(pointer_of(path.get<std::string>()))) {
                    fail(path.get<std::string>() + " is there");
                }
            }
            return;
        }
        for (const auto& [path, value] : wanted.items()) {
            const auto pointer = pointer_of(path);
            const nlohmann::json found = dump.contains(pointer) ? dump.at(pointer) : "(nothing)";
            if (found != nlohmann::json(value)) {
                fail(path + " is " + found.dump() + ", not " + value.dump());
            }
        }
    }

    void check_said(const std::string& severity, const Json& wanted) {
        const Json one = Json::array({wanted});
        for (const Json& phrase : wanted.is_array() ? wanted : one) {
            const auto text = phrase.get<std::string>();
            const Diagnostic* said = severity == "error" ? test::error_with(loaded_, text)
                                                         : test::warning_with(loaded_, text);
            if (said == nullptr) {
                fail("no " + severity + " says \"" + text + "\"" + test::all_of(loaded_));
                continue;
            }
            const Json& expect = description_.at("expect");
            if (expect.value("line", said->line) != said->line) {
                fail(format_diagnostic(*said, false) + "\n  is not in line " +
                     expect.at("line").dump());
            }
            if (expect.value("file", said->file) != said->file) {
                fail(format_diagnostic(*said, false) + "\n  is not in " +
                     expect.at("file").get<std::string>());
            }
        }
        if (loaded_.config.has_value() != (severity == "warning")) {
            fail("it " + std::string(loaded_.config ? "loads" : "does not load") +
                 test::all_of(loaded_));
        }
    }

    void check_clean() {
        const bool clean = std::none_of(
            loaded_.diagnostics.begin(), loaded_.diagnostics.end(),
            [](const Diagnostic& diagnostic) { return diagnostic.severity != Severity::note; });
        if (!clean || !loaded_.config) {
            fail("it is not clean" + test::all_of(loaded_));
        }
    }

    void check_never(const std::string& secret) {
        if (test::all_of(loaded_).find(secret) != std::string::npos ||
            dump_.dump().find(secret) != std::string::npos) {
            fail("it shows " + secret + test::all_of(loaded_));
        }
    }

    const Json& description_;
    ConfigLoad loaded_;
    Json dump_;
    std::vector<std::string> failures_;
};

struct Tally {
    std::size_t cases = 0;
    std::size_t failed = 0;
};

/// Runs all cases of a file and calls `tell` with what each that fails has to say.
template <class Tell>
Tally run_file(const std::filesystem::path& file, const Tell& tell) {
    Tally tally;
    std::set<std::string> names;
    for (const Json& description : read_cases(file)) {
        const auto name = description.at("name").get<std::string>();
        const std::string title = file.filename().string() + ": " + name;
        CHECK_MESSAGE(names.insert(name).second, title, ": the name is used twice");
        ++tally.cases;
        const auto failures = Case(description).run();
        tally.failed += failures.empty() ? 0 : 1;
        for (const std::string& failure : failures) {
            tell(title, failure);
        }
    }
    return tally;
}

std::vector<std::filesystem::path> case_files() {
    std::vector<std::filesystem::path> out;
    for (const auto& entry : std::filesystem::directory_iterator(CORRAL_CONFIG_CASES)) {
        if (entry.path().extension() == ".yaml") {
            out.push_back(entry.path());
        }
    }
    std::sort(out.begin(), out.end());
    return out;
}

}  // namespace

TEST_CASE("configs mean what the cases say") {
    // Guards: every row of the contract's part on configuration, and what Corral says to mistakes.
    std::size_t cases = 0;
    for (const auto& file : case_files()) {
        if (is_pending(file)) {
            continue;
        }
        const auto tally = run_file(file, [](const std::string& title, const std::string& failure) {
            FAIL_CHECK(title << ": " << failure);
        });
        cases += tally.cases;
    }
    CHECK(cases >= 300);
}

TEST_CASE("pending cases are counted") {
    // Guards: what is known to be missing is named wherever tests run, until it works.
    for (const auto& file : case_files()) {
        if (is_pending(file)) {
            const auto tally = run_file(file, [](const std::string& title, const std::string&) {
                MESSAGE("pending: " << title);
            });
            MESSAGE(tally.failed << " of " << tally.cases << " cases of " << file.filename()
                                 << " are pending");
        }
    }
}
