// The index file: a line that says what it is, then one JSON array a file; see model_index.hpp.
// A change of ModelFile's fields, or of what is read into them, needs a new version number.

#include "discovery/model_index.hpp"

#include "core/file.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <system_error>
#include <utility>

namespace corral {

namespace {

using Json = nlohmann::json;

constexpr int index_version = 1;
constexpr std::string_view version_key = "corral_model_index";
constexpr std::size_t index_bytes_max = 64U << 20;

/// Visits every field of a model in one order, for writing and for reading alike.
template <class Visitor, class Model>
void visit_fields(Visitor& visit, Model& model) {
    visit(model.architecture);
    visit(model.name);
    visit(model.size_label);
    visit(model.quantization);
    visit(model.parameters);
    visit(model.tensor_bytes);
    visit(model.file_bytes);
    visit(model.context_length);
    visit(model.block_count);
    visit(model.embedding_length);
    visit(model.heads);
    visit(model.kv_heads);
    visit(model.key_length);
    visit(model.value_length);
    visit(model.latent.rank);
    visit(model.latent.key_length);
    visit(model.latent.value_length);
    visit(model.window.tokens);
    visit(model.window.period);
    visit(model.window.layers);
    visit(model.recurrence.convolution);
    visit(model.recurrence.inner);
    visit(model.recurrence.state);
    visit(model.recurrence.groups);
    visit(model.recurrence.attention_period);
    visit(model.vocabulary);
    visit(model.experts);
    visit(model.experts_used);
    visit(model.pooling);
    visit(model.has_chat_template);
    visit(model.supports_tools);
    visit(model.supports_thinking);
    visit(model.has_vision);
    visit(model.has_audio);
    visit(model.projected_length);
    visit(model.role);
    visit(model.split_number);
    visit(model.split_count);
}

class FieldWriter {
public:
    template <class T>
    void operator()(const T& field) {
        fields_.push_back(field);
    }
    void operator()(const std::optional<std::uint64_t>& field) {
        fields_.push_back(field ? Json(*field) : Json());
    }
    void operator()(const ModelRole& role) { fields_.push_back(static_cast<unsigned>(role)); }
    [[nodiscard]] Json take() { return std::move(fields_); }

private:
    Json fields_ = Json::array();
};

/// Throws nlohmann's exceptions when a field is missing or of another type.
class FieldReader {
public:
    explicit FieldReader(const Json& fields) : fields_(fields) {}
    template <class T>
    void operator()(T& field) {
        fields_.at(next_++).get_to(field);
    }
    void operator()(std::optional<std::uint64_t>& field) {
        const Json& value = fields_.at(next_++);
        field.reset();
        if (!value.is_null()) {
            field = value.get<std::uint64_t>();
        }
    }
    void operator()(ModelRole& role) {
        const auto number = fields_.at(next_++).get<unsigned>();
        is_sound_ = is_sound_ && number <= static_cast<unsigned>(ModelRole::other);
        role = is_sound_ ? static_cast<ModelRole>(number) : ModelRole::other;
    }
    [[nodiscard]] bool is_whole() const { return is_sound_ && next_ == fields_.size(); }

private:
    const Json& fields_;
    std::size_t next_ = 0;
    bool is_sound_ = true;
};

/// Foreign text may be any bytes; JSON may not, and what was read must come back as it was.
bool is_writable(const IndexEntry& entry) {
    try {
        FieldWriter fields;
        if (entry.model) {
            visit_fields(fields, *entry.model);
        }
        (void)Json{entry.path, entry.problem, fields.take()}.dump();
        return true;
    } catch (const Json::exception&) {
        return false;
    }
}

std::string entry_line(const FileKey& key, const IndexEntry& entry) {
    Json line{key.device, key.inode, key.size, key.modified_ns, entry.path};
    if (entry.model) {
        FieldWriter fields;
        visit_fields(fields, *entry.model);
        line.push_back(fields.take());
    } else {
        line.push_back(entry.problem);
    }
    return line.dump() + "\n";
}

/// Throws nlohmann's exceptions; false for a line of the right form with wrong content.
bool read_line(std::string_view text, FileKey& key, IndexEntry& entry) {
    const Json line = Json::parse(text);
    constexpr std::size_t fields = 6;
    if (!line.is_array() || line.size() != fields) {
        return false;
    }
    key = {line[0].get<std::uint64_t>(), line[1].get<std::uint64_t>(), line[2].get<std::uint64_t>(),
           line[3].get<std::int64_t>()};
    entry.path = line[4].get<std::string>();
    if (line[5].is_string()) {
        entry.problem = line[5].get<std::string>();
        return !entry.problem.empty();
    }
    FieldReader reader(line[5]);
    visit_fields(reader, entry.model.emplace());
    return reader.is_whole();
}

std::string_view take_line(std::string_view& text) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return line;
}

/// The version in the first line; 0 when it is none of ours.
int read_version(std::string_view line) {
    const Json head = Json::parse(line, nullptr, false);
    const auto found = head.is_object() ? head.find(version_key) : head.end();
    return found != head.end() && found->is_number_integer() ? found->get<int>() : 0;
}

}  // namespace

FileKey file_key(const struct stat& status) noexcept {
    constexpr std::int64_t nanoseconds = 1'000'000'000;
    return {static_cast<std::uint64_t>(status.st_dev), static_cast<std::uint64_t>(status.st_ino),
            static_cast<std::uint64_t>(status.st_size),
            static_cast<std::int64_t>(status.st_mtim.tv_sec) * nanoseconds +
                static_cast<std::int64_t>(status.st_mtim.tv_nsec)};
}

ModelIndex ModelIndex::parse(std::string_view text, std::string& warning) {
    ModelIndex index;
    const int version = read_version(take_line(text));
    if (version != index_version) {
        index.changed_ = true;
        warning = version == 0 ? "it is no index of models; it is made anew"
                               : fmt::format("version {} is not ours ({}); it is made anew",
                                             version, index_version);
        return index;
    }
    while (!text.empty() && index.entries_.size() < entries_max) {
        const std::string_view line = take_line(text);
        FileKey key;
        Slot slot;
        try {
            if (read_line(line, key, slot.entry)) {
                index.entries_.emplace(key, std::move(slot));
                continue;
            }
        } catch (const Json::exception&) {  // told below, like wrong content
        }
        ModelIndex empty;
        empty.changed_ = true;
        warning = "it is damaged; it is made anew";
        return empty;
    }
    return index;
}

ModelIndex ModelIndex::load(const std::string& file, std::string& warning) {
    std::error_code error;
    if (!std::filesystem::exists(file, error)) {
        ModelIndex index;
        index.changed_ = true;
        return index;
    }
    const Result<std::string> text = read_text_file(file, index_bytes_max);
    if (text) {
        return parse(*text, warning);
    }
    warning = text.error().detail;
    ModelIndex index;
    index.changed_ = true;
    return index;
}

const IndexEntry* ModelIndex::find(const FileKey& key) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) {
        return nullptr;
    }
    found->second.seen = true;
    return &found->second.entry;
}

void ModelIndex::put(const FileKey& key, IndexEntry entry) {
    if (entries_.size() >= entries_max || !is_writable(entry)) {
        return;
    }
    entries_.insert_or_assign(key, Slot{std::move(entry), true});
    changed_ = true;
}

void ModelIndex::drop_vanished() {
    const auto is_gone = [](const auto& item) {
        struct stat status {};
        return !item.second.seen && (::stat(item.second.entry.path.c_str(), &status) != 0 ||
                                     file_key(status) != item.first);
    };
    changed_ = std::erase_if(entries_, is_gone) > 0 || changed_;
}

std::string ModelIndex::text() const {
    std::string result = Json{{version_key, index_version}}.dump() + "\n";
    for (const auto& [key, slot] : entries_) {
        result += entry_line(key, slot.entry);
    }
    return result;
}

void ModelIndex::save(const std::string& file) const {
    if (!changed_) {
        return;
    }
    namespace fs = std::filesystem;
    std::error_code error;
    const fs::path directory = fs::path(file).parent_path();
    if (fs::create_directories(directory, error)) {
        fs::permissions(directory, fs::perms::owner_all, error);
    }
    (void)write_file_atomically(file, text());
}

}  // namespace corral
