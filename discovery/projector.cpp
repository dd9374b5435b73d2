// Matching projectors and models; see projector.hpp. llama.cpp refuses a projector whose output is
// not as wide as the model's embeddings, and only when it loads, so that is compared here.

#include "discovery/projector.hpp"

#include "discovery/naming.hpp"
#include "discovery/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

namespace corral {

namespace {

/// Of one directory; more are no collection of models but somebody's experiment.
constexpr std::size_t projectors_max = 64;

bool is_decimal_digit(char c) {
    return c >= '0' && c <= '9';
}

/// "mm.2.weight" comes before "mm.10.weight".
bool comes_before(std::string_view a, std::string_view b) {
    while (!a.empty() && !b.empty()) {
        const auto digits = [](std::string_view text) {
            return static_cast<std::size_t>(
                std::find_if_not(text.begin(), text.end(), is_decimal_digit) - text.begin());
        };
        const std::size_t in_a = digits(a);
        const std::size_t in_b = digits(b);
        if (in_a != in_b) {
            return in_a < in_b;
        }
        const std::size_t step = std::max<std::size_t>(in_a, 1);
        if (a.substr(0, step) != b.substr(0, step)) {
            return a.substr(0, step) < b.substr(0, step);
        }
        a.remove_prefix(step);
        b.remove_prefix(step);
    }
    return a.size() < b.size();
}

/// A matrix that vectors pass through, not a norm and not a table.
bool is_projection(const GgufTensor& tensor) {
    const auto has = [&](std::string_view word) {
        return tensor.name.find(word) != std::string::npos;
    };
    return tensor.extents.size() == 2 && tensor.name.ends_with(".weight") && !has("norm") &&
           !has("embd") && !has("pos") && !has("query");
}

std::string_view directory_part(std::string_view path) {
    return path.substr(0, path.find_last_of('/') + 1);
}

std::string_view last_part(std::string_view path) {
    return path.substr(path.find_last_of('/') + 1);
}

/// One download of a repository in a Hugging Face cache, which may have folders; else empty.
std::string_view snapshot_part(std::string_view path) {
    constexpr std::string_view snapshots = "/snapshots/";
    const std::size_t repository = path.find("/models--");
    const std::size_t at = path.find(snapshots, repository);
    if (repository == std::string_view::npos || at == std::string_view::npos) {
        return {};
    }
    const std::size_t end = path.find('/', at + snapshots.size());
    return end == std::string_view::npos ? std::string_view{} : path.substr(0, end + 1);
}

using Words = std::vector<std::string>;

/// The words of a file's name that say which model it is.
Words words_of(std::string_view path) {
    constexpr std::array<std::string_view, 7> kinds{"mmproj", "model", "clip", "projector",
                                                    "vision", "audio", "gguf"};
    const FileNameParts parts = read_file_name(last_part(path));
    std::string stem = plain_name(parts.stem);
    if (!parts.quantization.empty() && stem.ends_with(parts.quantization)) {
        stem.resize(stem.size() - parts.quantization.size());
    }
    Words words;
    std::size_t begin = 0;
    while (begin < stem.size()) {
        const std::size_t end = std::min(stem.find_first_of("-_", begin), stem.size());
        std::string word = stem.substr(begin, end - begin);
        while (word.ends_with('.')) {
            word.pop_back();
        }
        if (!word.empty() && std::find(kinds.begin(), kinds.end(), word) == kinds.end()) {
            words.push_back(std::move(word));
        }
        begin = end + 1;
    }
    return words;
}

std::size_t common_words(const Words& a, const Words& b) {
    const auto [end, other] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
    return static_cast<std::size_t>(end - a.begin());
}

/// Lower goes first.
std::size_t quantization_rank(const ProjectorFile& projector) {
    constexpr std::array<std::string_view, 4> order{"f16", "bf16", "q8_0", "f32"};
    std::string name = read_file_name(last_part(projector.path)).quantization;
    if (name.empty()) {
        name = plain_name(projector.file.quantization);
    }
    return static_cast<std::size_t>(std::find(order.begin(), order.end(), name) - order.begin());
}

enum class Nearness : std::uint8_t { directory, snapshot, elsewhere };

struct Candidate {
    const ProjectorFile* file = nullptr;
    Words words;
    std::size_t quantization = 0;
    std::size_t best_common = 0;  ///< with any model near it that it fits
    bool used = false;
};

/// A candidate as one model sees it.
struct Offer {
    Candidate* candidate = nullptr;
    Nearness nearness = Nearness::elsewhere;
    std::size_t common = 0;
    bool fits = false;
};

bool goes_before(const Offer& a, const Offer& b) {
    // The longer common name goes first: so the counts stand the other way round.
    return std::tie(a.nearness, b.common, a.candidate->quantization, a.candidate->file->path) <
           std::tie(b.nearness, a.common, b.candidate->quantization, b.candidate->file->path);
}

class Matcher {
public:
    Matcher(std::vector<FoundModel>& models, const std::vector<ProjectorFile>& projectors)
        : models_(models) {
        candidates_.reserve(projectors.size());  // pointers into it are kept
        for (const ProjectorFile& file : projectors) {
            candidates_.push_back({&file, words_of(file.path), quantization_rank(file), 0, false});
            Candidate& added = candidates_.back();
            add(places_[std::string(directory_part(file.path))], added);
            if (const std::string_view snapshot = snapshot_part(file.path); !snapshot.empty()) {
                add(places_[std::string(snapshot)], added);
            }
            if (!added.words.empty()) {
                add(by_first_word_[added.words.front()], added);
            }
        }
    }

    std::vector<bool> run() {
        if (!candidates_.empty()) {
            std::vector<std::vector<Offer>> offers;
            offers.reserve(models_.size());
            for (const FoundModel& model : models_) {
                offers.push_back(offers_for(model));
            }
            for (std::size_t i = 0; i < models_.size(); ++i) {
                choose(models_[i], offers[i]);
            }
        }
        std::vector<bool> used;
        used.reserve(candidates_.size());
        for (const Candidate& candidate : candidates_) {
            used.push_back(candidate.used);
        }
        return used;
    }

private:
    using Candidates = std::vector<Candidate*>;

    static void add(Candidates& list, Candidate& candidate) {
        if (list.size() < projectors_max) {
            list.push_back(&candidate);
        }
    }

    std::vector<Offer> offers_for(const FoundModel& model) {
        std::vector<Offer> offers;
        if (model.file.role != ModelRole::chat && model.file.role != ModelRole::base) {
            return offers;
        }
        const Words words = words_of(model.path);
        const auto offer = [&](const Candidates& list, Nearness nearness) {
            for (Candidate* candidate : list) {
                const bool known =
                    std::any_of(offers.begin(), offers.end(),
                                [&](const Offer& item) { return item.candidate == candidate; });
                if (!known) {
                    offers.push_back(consider(model, words, *candidate, nearness));
                }
            }
        };
        offer(places_[std::string(directory_part(model.path))], Nearness::directory);
        if (const std::string_view snapshot = snapshot_part(model.path); !snapshot.empty()) {
            offer(places_[std::string(snapshot)], Nearness::snapshot);
        }
        if (!words.empty()) {
            offer(by_first_word_[words.front()], Nearness::elsewhere);
        }
        return offers;
    }

    static Offer consider(const FoundModel& model, const Words& words, Candidate& candidate,
                          Nearness nearness) {
        const std::uint64_t length = candidate.file->file.projected_length;
        Offer offer{&candidate, nearness, common_words(words, candidate.words), false};
        offer.fits = length != 0 && length == model.file.embedding_length;
        if (offer.fits && nearness != Nearness::elsewhere) {
            candidate.best_common = std::max(candidate.best_common, offer.common);
        }
        return offer;
    }

    /// True when the names do not say that the projector is another model's.
    static bool may_belong(const Offer& offer) {
        const Candidate& candidate = *offer.candidate;
        if (offer.nearness != Nearness::elsewhere) {
            return offer.common == candidate.best_common;
        }
        return offer.common >= 2 && offer.common == candidate.words.size();
    }

    static void choose(FoundModel& model, std::vector<Offer>& offers) {
        std::sort(offers.begin(), offers.end(), goes_before);
        std::size_t fitting = 0;
        for (const Offer& offer : offers) {
            if (!offer.fits || !may_belong(offer)) {
                continue;
            }
            if (++fitting == 1) {
                const ProjectorFile& file = *offer.candidate->file;
                model.projector = FoundProjector{file.path, file.file.has_vision,
                                                 file.file.has_audio, file.file.file_bytes};
                offer.candidate->used = true;
            }
        }
        if (fitting > 1) {
            model.projector_note = fmt::format(
                "{} projectors fit; the nearest is taken, and F16 before BF16, Q8_0 and F32.",
                fitting);
        } else if (fitting == 0) {
            tell_misfit(model, offers);
        }
    }

    /// Why a projector beside the model, or one with its name, was not taken.
    static void tell_misfit(FoundModel& model, const std::vector<Offer>& offers) {
        for (const Offer& offer : offers) {
            const Candidate& candidate = *offer.candidate;
            const bool concerns = offer.nearness == Nearness::elsewhere
                                      ? offer.common >= 2 && offer.common == candidate.words.size()
                                      : offer.common > 0 || candidate.words.empty();
            if (offer.fits || !concerns) {
                continue;
            }
            const std::string name = escaped(last_part(candidate.file->path), 128);
            const std::uint64_t length = candidate.file->file.projected_length;
            model.projector_note =
                length == 0 ? fmt::format(
                                  "The projector {} does not say how long its vectors are, so it "
                                  "is not attached.",
                                  name)
                            : fmt::format(
                                  "The projector {} gives vectors of {} numbers, but this model "
                                  "takes {}: it is not attached.",
                                  name, length, model.file.embedding_length);
            return;
        }
    }

    std::vector<FoundModel>& models_;
    std::vector<Candidate> candidates_;
    std::map<std::string, Candidates> places_;
    std::map<std::string, Candidates> by_first_word_;
};

}  // namespace

std::uint64_t projected_length(const std::vector<GgufTensor>& tensors,
                               std::string_view projector_type) {
    const GgufTensor* last = nullptr;
    for (const GgufTensor& tensor : tensors) {
        if (is_projection(tensor) && (last == nullptr || comes_before(last->name, tensor.name))) {
            last = &tensor;
        }
    }
    if (last == nullptr) {
        return 0;
    }
    // These two are stored the other way round (clip.cpp, clip_n_mmproj_embd).
    const bool turned =
        last->name == "resampler.proj.weight" ||
        (last->name == "mm.input_projection.weight" && projector_type.starts_with("gemma3"));
    return last->extents.at(turned ? 0 : 1);
}

std::vector<bool> attach_projectors(std::vector<FoundModel>& models,
                                    const std::vector<ProjectorFile>& projectors) {
    return Matcher(models, projectors).run();
}

}  // namespace corral
