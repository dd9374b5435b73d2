// Who may use Corral from where, and how: allowedHosts, allowedOrigins, trustedProxies, h2cUpgrade.
// What says nothing is left out with a warning: less is allowed then, never more.
#include "core/ip_range.hpp"
#include "core/load/loading.hpp"
#include "core/web_names.hpp"

#include <string>
#include <utility>
#include <vector>

namespace corral::load {
namespace {

using ReadEntry = Result<std::string> (*)(std::string_view text);

Result<std::string> read_proxy(std::string_view text) {
    std::string out = trimmed(text);
    if (out != "unix" && !parse_ip_range(out)) {
        return Error(Errc::invalid_config, Blame::internal,
                     "expected an address or a range, like 192.168.1.5, 10.0.0.0/8 or fd00::/8, "
                     "or unix for whoever comes by a Unix socket");
    }
    return out;
}

void read_entries(Loading& loading, Reader& reader, std::string_view key, ReadEntry read,
                  std::vector<std::string>& into) {
    const Node* node = loading.root.find(key);
    const auto entries = node != nullptr ? reader.texts(*node, key) : std::nullopt;
    for (const auto& [text, mark] : entries.value_or(std::vector<PlacedText>())) {
        auto entry = read(text);
        if (entry) {
            into.push_back(std::move(*entry));
        } else {
            loading.report.warn(mark, std::string(key) + ": \"" + text + "\" is left out",
                                entry.error().detail);
        }
    }
}

void read_h2c_upgrade(Loading& loading, Reader& reader) {
    const Node* node = loading.root.find("h2cUpgrade");
    const auto text = node != nullptr ? reader.text(*node, "h2cUpgrade") : std::nullopt;
    if (text == "ignore") {
        loading.config.h2c_upgrade = H2cUpgrade::ignore;
    } else if (text && *text != "refuse") {
        loading.report.warn(node->mark, "h2cUpgrade \"" + *text + "\": refuse is used",
                            "one of refuse, ignore");
    }
}

}  // namespace

void read_access(Loading& loading) {
    Reader reader = loading.reader();
    Config& config = loading.config;
    read_entries(loading, reader, "allowedHosts", read_host_pattern, config.allowed_hosts);
    read_entries(loading, reader, "allowedOrigins", read_origin_pattern, config.allowed_origins);
    read_entries(loading, reader, "trustedProxies", read_proxy, config.trusted_proxies);
    read_h2c_upgrade(loading, reader);
}

}  // namespace corral::load
