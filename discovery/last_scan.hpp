#pragma once
// The last scan and what came of it. The same question to the same disks has the same answer: it
// needs no second load of a large config, which takes longer than everything else together. Kept in
// one file of the state directory; without it everything works the same, only slower. Pure; any
// thread.
//
// It is kept only where nothing is left to be said: no block that was edited or taken out, no
// model that is somebody's own, no `${env.…}`. So what it stands for was loaded and proved.

#include "discovery/renew.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace corral {

struct LastScan {
    /// A model of the answer; what else there is to say of it stands in the catalogue.
    struct Model {
        std::string id;
        std::vector<std::string> aliases;
        std::string path;
        std::vector<std::string> notes;
        friend bool operator==(const Model&, const Model&) = default;
    };

    std::uint64_t question = 0;  ///< the config's text, its name, the options, this program …
    std::uint64_t disk = 0;      ///< what was found, and the GPUs; see fingerprint_of()
    std::vector<std::string> directories;  ///< empty: the usual places
    std::vector<Model> models;
    std::vector<LeftOut> left_out;
    std::string text;  ///< the config of a scan that renews none; empty: the one that it was

    friend bool operator==(const LastScan&, const LastScan&) = default;
};

/// Every file of the catalogue as it lies there, and the GPUs.
[[nodiscard]] std::uint64_t fingerprint_of(const Discovery& discovery,
                                           const std::vector<Gpu>& gpus);

/// What the renewal of `existing` gives the next time, but for what was asked and found, which the
/// caller knows; nullopt when it has to be worked out again. `existing` is what this renewal has
/// written, or blank when that went to nowhere.
[[nodiscard]] std::optional<LastScan> scan_to_keep(const Renewal& renewal,
                                                   std::string_view existing);

/// The renewal of `existing` that was kept; nullopt when a model of it is not in the catalogue.
[[nodiscard]] std::optional<Renewal> kept_renewal(const LastScan& last, const Discovery& discovery,
                                                  std::string_view existing);

/// What the file holds. A text that is none, or of another version, is nullopt.
[[nodiscard]] std::optional<LastScan> parse_last_scan(std::string_view text);
[[nodiscard]] std::string last_scan_text(const LastScan& last);

}  // namespace corral
