// From files to models; see catalogue.hpp.

#include "discovery/catalogue.hpp"

#include "discovery/fingerprint.hpp"
#include "discovery/gguf_file.hpp"
#include "discovery/projector.hpp"
#include "discovery/sources.hpp"
#include "discovery/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <sys/stat.h>
#include <utility>

namespace corral {

namespace {

std::string_view base_name_of(std::string_view path) {
    return path.substr(path.find_last_of('/') + 1);
}

std::string_view directory_of(std::string_view path) {
    return path.substr(0, path.find_last_of('/') + 1);
}

/// Why a file is no model by its name alone, whatever its header says, or an empty string. These
/// are the names that llama.cpp passes over, too.
std::string name_problem(std::string_view file_name) {
    constexpr std::array<std::string_view, 4> draft_heads{"mtp-", "eagle3-", "dflash-", "dspark-"};
    const std::string name = plain_name(file_name);
    const bool draft_head =
        std::any_of(draft_heads.begin(), draft_heads.end(),
                    [&](std::string_view prefix) { return name.starts_with(prefix); });
    if (draft_head) {
        return "a draft head by its name: a part of another model";
    }
    if (name.find("imatrix") != std::string::npos) {
        return "an importance matrix by its name: no model";
    }
    return {};
}

std::string role_problem(ModelRole role) {
    switch (role) {
        case ModelRole::adapter:
            return "an adapter (LoRA): needs another model";
        case ModelRole::vocabulary:
            return "a vocabulary without weights";
        case ModelRole::other:
            return "no text model: llama-server cannot serve it";
        default:
            return {};
    }
}

/// Older conversions do not say in their metadata that they are embedding or reranking models.
ModelRole refine_role(ModelRole role, const FileNameParts& name) {
    if (!is_servable(role)) {
        return role;
    }
    if (name.says_reranker) {
        return ModelRole::reranker;
    }
    if (name.says_embedding && role != ModelRole::reranker) {
        return ModelRole::embedding;
    }
    return role;
}

struct Part {
    std::string path;
    std::optional<ModelFile> file;
    std::string problem;
};

using Parts = std::map<std::uint32_t, Part>;  // by part number

std::string missing_parts(const Parts& parts, std::uint32_t count) {
    constexpr std::size_t named_max = 5;
    if (count - parts.size() > named_max) {
        return fmt::format("only {} of its {} parts are there", parts.size(), count);
    }
    std::string names;
    for (std::uint32_t number = 1; number <= count; ++number) {
        if (!parts.contains(number)) {
            names += fmt::format("{}{}", names.empty() ? "" : ", ", number);
        }
    }
    return names.empty() ? std::string{}
                         : fmt::format("of its {} parts these are missing: {}", count, names);
}

/// Why the parts make no model, or an empty string.
std::string parts_problem(const Parts& parts, std::uint32_t count) {
    if (parts.begin()->first < 1 || parts.rbegin()->first > count) {
        return fmt::format("its name says part {} of {}", parts.rbegin()->first, count);
    }
    for (const auto& [number, part] : parts) {
        if (!part.problem.empty()) {
            return fmt::format("part {} of {}: {}", number, count, part.problem);
        }
    }
    if (std::string missing = missing_parts(parts, count); !missing.empty()) {
        return missing;
    }
    for (const auto& [number, part] : parts) {
        const std::uint64_t told = part.file->split_count;
        if (told > 1 ? told != count || part.file->split_number != number - 1 : count > 1) {
            return fmt::format("part {} of {} by its name, but {} of {} by its content", number,
                               count, part.file->split_number + 1,
                               std::max<std::uint64_t>(told, 1));
        }
    }
    return {};
}

/// The parts of a file's name, without what a cache put before it. Where the name says nothing
/// ("model.gguf") the repository's speaks for it.
FileNameParts name_in_cache(const CacheEntry& entry) {
    constexpr std::array<std::string_view, 4> empty_names{"model", "ggml-model", "ggml", "gguf"};
    FileNameParts parts = read_file_name(entry.file_name);
    std::string stem = plain_name(parts.stem);
    if (!parts.quantization.empty() && stem.ends_with(parts.quantization)) {
        stem = plain_name(stem.substr(0, stem.size() - parts.quantization.size()));
    }
    const bool says_nothing =
        std::find(empty_names.begin(), empty_names.end(), stem) != empty_names.end() ||
        stem.empty();
    if (!says_nothing || entry.repository.empty()) {
        return parts;
    }
    std::string name(base_name_of(entry.repository));
    for (const std::string_view ending : {"-GGUF", "-gguf"}) {
        if (name.ends_with(ending)) {
            name.resize(name.size() - ending.size());
        }
    }
    if (!parts.quantization.empty()) {
        name += "-" + parts.quantization;
    }
    return read_file_name(name + ".gguf");
}

class Cataloguer {
public:
    explicit Cataloguer(ModelIndex* index) : index_(index) {}

    Catalogue run(const std::vector<std::string>& roots, const WalkLimits& limits) {
        Walk walk = walk_directories(roots, limits);
        catalogue_.left_out = std::move(walk.left_out);
        catalogue_.failed_roots = std::move(walk.failed_roots);
        manifests_ = std::move(walk.manifests);
        for (const auto& [directory, names] : manifests_) {
            files_.add(directory);
            std::for_each(names.begin(), names.end(),
                          [this](const auto& name) { files_.add(name); });
        }
        const std::set<std::string> present(walk.files.begin(), walk.files.end());
        for (const std::string& path : walk.files) {
            add_file(path, present);
        }
        for (const auto& [key, parts] : sets_) {
            add_set(parts, key.second);
        }
        add_projectors();
        const auto by_path = [](const auto& a, const auto& b) { return a.path < b.path; };
        std::sort(catalogue_.models.begin(), catalogue_.models.end(), by_path);
        std::stable_sort(catalogue_.left_out.begin(), catalogue_.left_out.end(), by_path);
        catalogue_.files_fingerprint = files_.value();
        return std::move(catalogue_);
    }

private:
    using SetKey = std::pair<std::string, std::uint32_t>;  // path before the number, part count

    void leave_out(const std::string& path, std::string reason) {
        catalogue_.left_out.push_back({path, std::move(reason)});
    }

    void add_file(const std::string& path, const std::set<std::string>& present) {
        const std::string_view name = base_name_of(path);
        if (is_partial_download(name) || present.contains(path + ".aria2") ||
            plain_name(name).starts_with("downloading_")) {
            leave_out(path, "a download that is not complete");
            return;
        }
        if (std::string problem = name_problem(name); !problem.empty()) {
            leave_out(path, std::move(problem));
            return;
        }
        Part part{path, std::nullopt, path_problem(path)};
        if (part.problem.empty()) {
            const Result<ModelFile> file = read_file(path);
            if (file) {
                part.file = *file;
            } else {
                part.problem = file.error().detail;
            }
        }
        if (const std::optional<PartNumber> number = read_part_number(name)) {
            SetKey key{std::string(directory_of(path)) + number->prefix, number->count};
            sets_[std::move(key)].emplace(number->number, std::move(part));
        } else {
            add_single(std::move(part));
        }
    }

    /// From the index when the file is as it was, without opening it; else from the file.
    Result<ModelFile> read_file(const std::string& path) {
        struct stat status {};
        const bool is_regular = ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
        if (index_ != nullptr && is_regular) {
            if (const IndexEntry* known = index_->find(file_key(status))) {
                note(path, file_key(status));
                if (std::optional<Error> twice = seen_before(status.st_dev, status.st_ino, path)) {
                    return *twice;
                }
                return known->model ? Result<ModelFile>(*known->model)
                                    : Error(Errc::corrupt, Blame::internal, known->problem);
            }
        }
        Result<FileWindow> window = FileWindow::open(path);
        if (!window) {
            return window.error();
        }
        ++catalogue_.files_opened;
        note(path, window->key());
        const auto [device, inode] = window->identity();
        if (std::optional<Error> twice = seen_before(device, inode, path)) {
            return *twice;
        }
        Result<ModelFile> file = read_model_file(*window);
        const bool is_lasting = file || file.error().code != Errc::io;
        if (index_ != nullptr && is_lasting) {
            index_->put(window->key(), {path, file ? std::optional(*file) : std::nullopt,
                                        file ? std::string{} : file.error().detail});
        }
        return file;
    }

    void note(const std::string& path, const FileKey& key) {
        files_.add(path);
        for (const std::uint64_t value :
             {key.device, key.inode, key.size, static_cast<std::uint64_t>(key.modified_ns)}) {
            files_.add(value);
        }
    }

    std::optional<Error> seen_before(dev_t device, ino_t inode, const std::string& path) {
        const auto [known, is_new] = seen_.emplace(FileIdentity{device, inode}, path);
        return is_new ? std::nullopt
                      : std::optional(Error(Errc::corrupt, Blame::internal,
                                            "the same file as " + escaped(known->second)));
    }

    void add_single(Part part) {
        if (part.problem.empty() && part.file->split_count > 1) {
            part.problem = fmt::format("part {} of {} by its content, but its name does not say so",
                                       part.file->split_number + 1, part.file->split_count);
        }
        if (!part.problem.empty()) {
            leave_out(part.path, part.problem);
            return;
        }
        add_model(part.path, *part.file, 1);
    }

    void add_set(const Parts& parts, std::uint32_t count) {
        const std::string& first = parts.begin()->second.path;
        if (std::string problem = parts_problem(parts, count); !problem.empty()) {
            leave_out(first, std::move(problem));
            return;
        }
        ModelFile file = *parts.begin()->second.file;
        for (auto part = std::next(parts.begin()); part != parts.end(); ++part) {
            file.add_part(*part->second.file);
        }
        add_model(first, std::move(file), count);
    }

    void add_model(const std::string& path, ModelFile file, std::uint32_t part_count) {
        if (file.role == ModelRole::projector) {
            projectors_.push_back({path, std::move(file)});
            return;
        }
        FoundModel model;
        model.path = path;
        model.part_count = part_count;
        model.file = std::move(file);
        read_name(model);
        model.file.role = refine_role(model.file.role, model.file_name);
        std::string problem = role_problem(model.file.role);
        if (problem.empty() && plain_name(base_name_of(path)).find("mmproj") != std::string::npos) {
            problem = "a projector (mmproj) by its name, but not by its content";
        }
        if (!problem.empty()) {
            leave_out(path, std::move(problem));
            return;
        }
        catalogue_.models.push_back(std::move(model));
    }

    void read_name(FoundModel& model) const {
        const std::string_view directory = directory_of(model.path);
        const auto manifests = manifests_.find(directory.substr(0, directory.size() - 1));
        const std::optional<CacheEntry> entry =
            read_cache_path(model.path, manifests == manifests_.end() ? std::vector<std::string>{}
                                                                      : manifests->second);
        if (entry) {
            model.repository = entry->repository;
            model.file_name = name_in_cache(*entry);
        } else {
            model.file_name = read_file_name(base_name_of(model.path));
        }
    }

    void add_projectors() {
        const std::vector<bool> used = attach_projectors(catalogue_.models, projectors_);
        for (std::size_t i = 0; i < projectors_.size(); ++i) {
            if (!used[i]) {
                const std::uint64_t length = projectors_[i].file.projected_length;
                leave_out(projectors_[i].path,
                          length == 0 ? "a projector (mmproj) that fits no model here"
                                      : fmt::format("a projector (mmproj) that fits no model here: "
                                                    "its vectors have {} numbers",
                                                    length));
            }
        }
    }

    ModelIndex* index_;
    Catalogue catalogue_;
    ManifestsByDirectory manifests_;
    std::vector<ProjectorFile> projectors_;
    std::map<FileIdentity, std::string> seen_;
    std::map<SetKey, Parts> sets_;
    Fingerprint files_;
};

}  // namespace

double FoundModel::billions() const {
    if (file_name.billions) {
        return *file_name.billions;
    }
    if (const std::optional<double> label = read_size_label(file.size_label)) {
        return *label;
    }
    return static_cast<double>(file.parameters) / 1e9;
}

std::string FoundModel::quantization() const {
    return !file_name.quantization.empty() ? file_name.quantization : plain_name(file.quantization);
}

std::string path_problem(std::string_view path) {
    if (!is_plain_utf8(path)) {
        return "its path holds control characters or is no UTF-8";
    }
    if (path.find("${") != std::string_view::npos) {
        return "its path holds \"${\", which a config takes for a macro";
    }
    return {};
}

Catalogue read_catalogue(const std::vector<std::string>& roots, const WalkLimits& limits,
                         ModelIndex* index) {
    return Cataloguer(index).run(roots, limits);
}

}  // namespace corral
