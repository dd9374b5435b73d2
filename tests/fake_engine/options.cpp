// Reads the command line of a fake engine. See options.hpp for what each word means.

#include "tests/fake_engine/options.hpp"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>

namespace fake {
namespace {

struct Targets {
    std::map<std::string, bool*> flags;
    std::map<std::string, int*> numbers;
    std::map<std::string, std::string*> texts;
    std::map<std::string, Milliseconds*> durations;
};

Targets targets_of(Options& o) {
    Targets t;
    t.flags = {{"never-listen", &o.never_listen},
               {"accept-and-hang", &o.accept_and_hang},
               {"fork-grandchild", &o.fork_grandchild},
               {"double-fork", &o.double_fork},
               {"regroup-grandchild", &o.regroup_grandchild},
               {"setsid-grandchild", &o.setsid_grandchild},
               {"ignore-term", &o.ignore_term},
               {"stdout-flood", &o.stdout_flood},
               {"stderr-flood", &o.stderr_flood},
               {"binary-output", &o.binary_output},
               {"close-all", &o.close_all},
               {"garbage-probe", &o.garbage_probe},
               {"obey", &o.obey},
               {"endless-line", &o.endless_line},
               {"close-pipes", &o.close_pipes},
               {"echo", &o.echo},
               {"no-content-length", &o.no_content_length},
               {"early-400", &o.early_400},
               {"close-after", &o.close_after},
               {"no-unlink", &o.no_unlink},
               {"cut-mid-chunk", &o.cut_mid_chunk},
               {"huge-header", &o.huge_header},
               {"garbage", &o.garbage},
               {"linger", &o.linger},
               {"upgrade", &o.upgrade},
               {"die-on-request", &o.die_on_request},
               {"die-mid-stream", &o.die_mid_stream}};
    t.numbers = {{"port", &o.port},
                 {"health-status", &o.health_status},
                 {"die-at-start", &o.die_at_start},
                 {"tokens", &o.tokens},
                 {"status", &o.status},
                 {"signal", &o.signal},
                 {"exit-code", &o.exit_code}};
    t.texts = {{"host", &o.host},           {"socket", &o.socket},
               {"model", &o.model},         {"alias", &o.model},
               {"pid-file", &o.pid_file},   {"record", &o.record},
               {"events", &o.events},       {"load-until", &o.load_until},
               {"stderr", &o.stderr_text},  {"stdout", &o.stdout_text},
               {"gate", &o.gate},           {"raw-response", &o.raw_response},
               {"exclusive", &o.exclusive}, {"options-from", &o.options_from},
               {"die-once", &o.die_once},   {"eat-memory", &o.eat_memory}};
    t.durations = {
        {"load", &o.load},           {"listen-late", &o.listen_late}, {"interval", &o.interval},
        {"flood-for", &o.flood_for}, {"term-delay", &o.term_delay},   {"die-after", &o.die_after}};
    return t;
}

std::string unescape_newlines(std::string text) {
    for (std::size_t at = 0; (at = text.find("\\n", at)) != std::string::npos; ++at) {
        text.replace(at, 2, "\n");
    }
    return text;
}

void read_words(const std::vector<std::string>& words, Options& options) {
    const Targets targets = targets_of(options);
    for (std::size_t i = 0; i < words.size(); ++i) {
        std::string name = words[i];
        if (name == "-m") {
            name = "--model";
        }
        if (name.rfind("--", 0) != 0) {
            continue;  // the value of an option that is not ours
        }
        name.erase(0, 2);
        if (const auto flag = targets.flags.find(name); flag != targets.flags.end()) {
            *flag->second = true;
            continue;
        }
        std::string value;
        if (const auto equals = name.find('='); equals != std::string::npos) {
            value = name.substr(equals + 1);
            name.erase(equals);
        } else if (i + 1 < words.size()) {
            value = words[i + 1];
        }
        if (const auto text = targets.texts.find(name); text != targets.texts.end()) {
            *text->second = value;
        } else if (const auto number = targets.numbers.find(name);
                   number != targets.numbers.end()) {
            *number->second = std::atoi(value.c_str());
        } else if (const auto span = targets.durations.find(name);
                   span != targets.durations.end()) {
            *span->second = parse_duration(value);
        }
    }
}

}  // namespace

Milliseconds parse_duration(const std::string& text) {
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    const std::string unit = end;
    const double factor = unit == "s" ? 1000.0 : 1.0;
    return Milliseconds{static_cast<long>(value * factor)};
}

std::size_t parse_size(const std::string& text) {
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    double factor = 1.0;
    for (const char unit : {'K', 'M', 'G'}) {
        factor *= 1024.0;
        if (*end == unit) {
            return static_cast<std::size_t>(value * factor);
        }
    }
    return static_cast<std::size_t>(value);
}

Options parse_options(const std::vector<std::string>& words) {
    Options options;
    read_words(words, options);
    if (!options.options_from.empty()) {
        std::ifstream file(options.options_from);
        const std::vector<std::string> more{std::istream_iterator<std::string>(file), {}};
        read_words(more, options);
    }
    options.stderr_text = unescape_newlines(options.stderr_text);
    options.stdout_text = unescape_newlines(options.stdout_text);
    if (options.socket.empty() && options.host.size() > 5 &&
        options.host.compare(options.host.size() - 5, 5, ".sock") == 0) {
        options.socket = options.host;
    }
    return options;
}

}  // namespace fake
