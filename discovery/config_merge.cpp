// The rules of the merge, block by block; see config_merge.hpp.

#include "discovery/config_merge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace corral {

namespace {

constexpr std::string_view generated_indent = "  ";

/// A generated body as it stands in the file: indented like its neighbours, with their endings.
std::string fitted(std::string_view body, std::string_view indent, std::string_view ending) {
    std::string out;
    for (std::string_view line : split_lines(body)) {
        while (line.ends_with('\n') || line.ends_with('\r')) {
            line.remove_suffix(1);
        }
        if (line.starts_with(generated_indent)) {
            out += indent;
            line.remove_prefix(generated_indent.size());
        }
        out += line;
        out += ending;
    }
    return out;
}

bool ends_line(std::string_view text) {
    return text.empty() || text.ends_with('\n');
}

/// A mapping at the top level that blocks stand in: `models:` or `groups:`.
struct Section {
    std::size_t piece = 0;  ///< that holds its key
    std::size_t begin = 0;  ///< offset in the piece of the key's line
    std::size_t line = 0;   ///< the line's number, from 1
    std::string value;      ///< what stands behind the colon, without comment
};

std::string_view trimmed_blanks(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(" \t\r\n");
    return begin == std::string_view::npos
               ? std::string_view()
               : text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

/// What stands behind `key:` in its line, without a comment.
std::string_view value_behind(std::string_view line) {
    std::string_view value = trimmed_blanks(line.substr(line.find(':') + 1));
    if (value.starts_with('#')) {
        return {};
    }
    return trimmed_blanks(value.substr(0, value.find(" #")));
}

bool is_nothing(std::string_view value) {
    return value.empty() || value == "{}" || value == "~" || value == "null";
}

class Merger {
public:
    explicit Merger(const MergeInput& input)
        : input_(input),
          pieces_(split_config(input.existing)),
          ending_(line_ending(input.existing)) {
        for (const GeneratedBlock& model : input.models) {
            generated_.emplace(model.key, &model);
        }
        for (const auto& [from, to] : input.moved) {
            if (generated_.contains(to)) {
                moved_.emplace(from, to);
            }
        }
    }

    Result<Merged> run() {
        for (ConfigPiece& piece : pieces_) {
            if (piece.is_block && !piece.block.is_group) {
                merge_model(piece);
            }
        }
        if (const Result<void> done = insert_models(); !done) {
            return done.error();
        }
        merge_group();
        merged_.text = join_config(pieces_);
        if (const std::optional<std::string> astray = find_astray()) {
            return Error(Errc::invalid_config, Blame::internal,
                         "the lines behind the block of " + *astray +
                             " would become a part of it: indent them like its name, or put them "
                             "elsewhere");
        }
        return std::move(merged_);
    }

private:
    /// The block that would be another one, or a new one, when the text is read again.
    std::optional<std::string> find_astray() const {
        const auto name = [](const ConfigBlock& block) {
            return block.key.empty() ? block.id : block.key;
        };
        const auto is_block = [](const ConfigPiece& piece) { return piece.is_block; };
        const std::vector<ConfigPiece> seen = split_config(merged_.text);
        auto at = std::find_if(seen.begin(), seen.end(), is_block);
        for (const ConfigPiece& piece : pieces_) {
            if (!piece.is_block) {
                continue;
            }
            if (at == seen.end() || at->text != piece.text) {
                return name(piece.block);
            }
            at = std::find_if(std::next(at), seen.end(), is_block);
        }
        return at == seen.end() ? std::nullopt : std::optional(name(at->block));
    }

    const GeneratedBlock* generated_for(const ConfigBlock& block) const {
        const auto moved = moved_.find(block.key);
        const auto found = generated_.find(moved != moved_.end() ? moved->second : block.key);
        return found == generated_.end() ? nullptr : found->second;
    }

    void merge_model(ConfigPiece& piece) {
        ConfigBlock& block = piece.block;
        const GeneratedBlock* now = generated_for(block);
        if (now != nullptr) {
            placed_.insert(now->key);
        }
        const bool edited = block.is_edited();
        if (now == nullptr) {
            retire(piece, edited);
        } else if (!edited && !written_.insert(now->key).second) {
            keep(block, now);  // a copy that nobody changed: the first of them is the model's
        } else if (!edited) {
            replace(piece, *now);
        } else {
            if (!block.gone.empty()) {
                put_back(piece);
            }
            keep(block, now);
        }
        if (block.gone.empty()) {
            in_force_.push_back(block.id);
        }
    }

    /// An edited block whose file is there again; one that is none any more stays a comment.
    void put_back(ConfigPiece& piece) {
        ConfigPiece back = piece;
        back.block.gone.clear();
        rewrite(back);
        const std::vector<ConfigPiece> seen = split_config(back.text);
        if (seen.size() == 1 && seen.front().is_block) {
            merged_.report.returned.push_back(piece.block.id);
            piece = std::move(back);
        }
    }

    /// A model whose file is not there.
    void retire(ConfigPiece& piece, bool edited) {
        ConfigBlock& block = piece.block;
        if (!block.gone.empty()) {
            return;
        }
        if (!input_.comment_out) {
            merged_.report.absent.push_back(block.id);
            if (edited) {
                keep(block, nullptr);
            }
            return;
        }
        merged_.report.gone.push_back(block.id);
        const std::string why =
            input_.why_gone ? input_.why_gone(block.key) : std::string("its file is not there");
        block.gone = fmt::format(" gone since {}: {}", input_.today, why);
        rewrite(piece);
    }

    void replace(ConfigPiece& piece, const GeneratedBlock& now) {
        ConfigBlock& block = piece.block;
        std::string body = fitted(now.body, block.indent, ending_);
        const std::string hash = hash_of_block(body);
        const bool same = block.gone.empty() && block.key == now.key && block.hash == hash;
        if (same) {
            return;  // not a byte: its line endings may be others than those of the file
        }
        const bool returns = !block.gone.empty();
        (returns ? merged_.report.returned : merged_.report.updated).push_back(now.id);
        block.key = now.key;
        block.id = now.id;
        block.hash = hash;
        block.gone.clear();
        block.body = std::move(body);
        rewrite(piece);
    }

    void keep(const ConfigBlock& block, const GeneratedBlock* now) {
        KeptBlock kept{block.id, block.key, block.body, "", ""};
        if (now != nullptr) {
            kept.generated = fitted(now->body, block.indent, ending_);
            kept.moved_to = now->key == block.key ? "" : now->key;
        }
        merged_.report.kept.push_back(std::move(kept));
    }

    /// The piece's bytes from its block; whether its last line ends stays as it is.
    void rewrite(ConfigPiece& piece) const {
        const bool ended = ends_line(piece.text);
        piece.text = block_text(piece.block, ending_);
        if (!ended && ends_line(piece.text)) {
            piece.text.resize(piece.text.size() - ending_.size());
        }
    }

    Result<void> insert_models() {
        std::vector<const GeneratedBlock*> fresh;
        for (const GeneratedBlock& model : input_.models) {
            if (placed_.contains(model.key)) {
                continue;
            }
            if (input_.deleted.contains(model.key)) {
                merged_.report.deleted.push_back(model.id);
                continue;
            }
            fresh.push_back(&model);
        }
        std::sort(fresh.begin(), fresh.end(),
                  [](const auto* a, const auto* b) { return a->id < b->id; });
        for (const GeneratedBlock* model : fresh) {
            if (Result<void> done = insert_model(*model); !done) {
                return done;
            }
            merged_.report.added.push_back(model->id);
            in_force_.push_back(model->id);
        }
        return {};
    }

    Result<void> insert_model(const GeneratedBlock& model) {
        // Behind the last block with a smaller id, else before the first one.
        std::size_t at = pieces_.size();
        for (std::size_t i = 0; i < pieces_.size(); ++i) {
            const ConfigPiece& piece = pieces_[i];
            if (piece.is_block && !piece.block.is_group &&
                (at == pieces_.size() || piece.block.id < model.id)) {
                at = i;
            }
        }
        if (at == pieces_.size()) {
            return insert_into("models", make_piece(false, model.key, model.id, model.body));
        }
        const std::string& indent = pieces_[at].block.indent;
        ConfigPiece piece = make_piece(false, model.key, model.id, model.body, indent);
        const auto position = std::next(pieces_.begin(), static_cast<std::ptrdiff_t>(at));
        if (pieces_[at].block.id < model.id) {
            end_line(pieces_[at]);
            pieces_.insert(std::next(position), {ConfigPiece{std::string(ending_)}, piece});
        } else {
            pieces_.insert(position, {piece, ConfigPiece{std::string(ending_)}});
        }
        return {};
    }

    ConfigPiece make_piece(bool is_group, const std::string& key, const std::string& id,
                           std::string_view body,
                           std::string_view indent = generated_indent) const {
        ConfigPiece piece;
        piece.is_block = true;
        piece.block.is_group = is_group;
        piece.block.key = key;
        piece.block.id = id;
        piece.block.indent = indent;
        piece.block.body = fitted(body, indent, ending_);
        piece.block.hash = hash_of_block(piece.block.body);
        piece.text = block_text(piece.block, ending_);
        return piece;
    }

    void end_line(ConfigPiece& piece) const {
        if (piece.text.ends_with('\r')) {
            piece.text += '\n';
        } else if (!ends_line(piece.text)) {
            piece.text += ending_;
        }
    }

    /// Where `name:` stands at the top level, looking at text between blocks only.
    std::optional<Section> find_section(std::string_view name) const {
        std::size_t number = 0;
        for (std::size_t i = 0; i < pieces_.size(); ++i) {
            const std::vector<std::string_view> lines = split_lines(pieces_[i].text);
            std::size_t offset = 0;
            for (std::string_view line : lines) {
                const std::size_t begin = offset;
                ++number;
                offset += line.size();
                if (number == 1 && line.starts_with("\xef\xbb\xbf")) {
                    line.remove_prefix(3);
                }
                const LineShape shape = shape_of(line);
                if (!pieces_[i].is_block && shape.indent == 0 && !shape.is_comment &&
                    key_of_line(line) == name) {
                    return Section{i, begin, number, std::string(value_behind(line))};
                }
            }
        }
        return std::nullopt;
    }

    /// Puts a block at the end of a section, which is made when it is not there.
    Result<void> insert_into(std::string_view name, ConfigPiece piece) {
        std::optional<Section> section = find_section(name);
        if (!section) {
            append_section(name);
            section = find_section(name);
        }
        if (!section || !is_nothing(section->value)) {
            return Error(Errc::invalid_config, Blame::internal,
                         fmt::format("{}: in line {} is written in one line: write each entry on "
                                     "lines of its own, then scan can add some",
                                     name, section ? section->line : 0));
        }
        make_open(*section);
        const auto [at, offset, indent] = end_of(*section);
        if (!indent.empty()) {
            piece = make_piece(piece.block.is_group, piece.block.key, piece.block.id,
                               piece.block.body, indent);
        }
        ConfigPiece before = pieces_[at];
        ConfigPiece after;
        before.text = pieces_[at].text.substr(0, offset);
        after.text = pieces_[at].text.substr(offset);
        end_line(before);
        if (!trimmed_blanks(before.text).empty()) {
            before.text += ending_;
        }
        std::vector<ConfigPiece> parts{std::move(before), std::move(piece)};
        if (!after.text.empty()) {
            parts.push_back(std::move(after));
        }
        const auto position = pieces_.erase(std::next(pieces_.begin(), static_cast<long>(at)));
        pieces_.insert(position, parts.begin(), parts.end());
        return {};
    }

    void append_section(std::string_view name) {
        if (pieces_.empty()) {
            pieces_.emplace_back();
        }
        if (pieces_.back().is_block) {
            end_line(pieces_.back());
            pieces_.emplace_back();
        }
        ConfigPiece& last = pieces_.back();
        end_line(last);
        const bool is_first = pieces_.size() == 1 && last.text.empty();
        last.text += fmt::format("{}{}:{}", is_first ? "" : ending_, name, ending_);
    }

    /// `models: {}` as `models:`, with the rest of the line.
    void make_open(const Section& section) {
        if (!section.value.empty()) {
            std::string& text = pieces_[section.piece].text;
            const std::size_t colon = text.find(':', section.begin);
            const std::size_t value = text.find(section.value, colon);
            text.erase(colon + 1, value + section.value.size() - colon - 1);
        }
    }

    struct Place {
        std::size_t piece;
        std::size_t offset;
        std::string indent;  ///< of the entries that are there; empty: none are
    };

    /// Behind the last line of a section that is indented.
    Place end_of(const Section& section) const {
        const std::string& key_text = pieces_[section.piece].text;
        const std::size_t key_end =
            std::min(key_text.find('\n', section.begin), key_text.size() - 1) + 1;
        Place place{section.piece, key_end, ""};
        std::size_t offset = 0;
        for (std::size_t i = section.piece; i < pieces_.size(); ++i) {
            offset = 0;
            for (const std::string_view line : split_lines(pieces_[i].text)) {
                offset += line.size();
                const LineShape shape = shape_of(line);
                if (shape.is_blank || (i == section.piece && offset <= key_end)) {
                    continue;
                }
                if (shape.indent == 0) {
                    if (!shape.is_comment) {
                        return place;
                    }
                    continue;
                }
                if (place.indent.empty() && !shape.is_comment) {
                    place.indent = line.substr(0, shape.indent);
                }
                place.piece = i;
                place.offset = offset;
            }
        }
        return place;
    }

    void merge_group() {
        std::vector<std::string> members;
        for (const std::string& id : in_force_) {
            if (!input_.grouped_by_hand.contains(id)) {
                members.push_back(id);
            }
        }
        std::sort(members.begin(), members.end());
        members.erase(std::unique(members.begin(), members.end()), members.end());
        const bool wanted = !input_.group_id.empty() && !members.empty();
        const auto is_group = [](const ConfigPiece& piece) {
            return piece.is_block && piece.block.is_group;
        };
        if (!wanted) {  // copies of it, too
            merged_.report.group_changed =
                0 < std::erase_if(pieces_, [&](const ConfigPiece& piece) {
                    return is_group(piece) && !piece.block.is_edited();
                });
        }
        const auto at = std::find_if(pieces_.begin(), pieces_.end(), is_group);
        if (at == pieces_.end()) {
            if (!wanted || input_.group_deleted) {
                return;
            }
            // Groups in one line are somebody's own: then none is added.
            merged_.report.group_changed =
                insert_into("groups", make_piece(true, input_.group_id, input_.group_id,
                                                 input_.group_body(members)))
                    .has_value();
            return;
        }
        const GeneratedBlock now{at->block.key, at->block.id,
                                 wanted ? input_.group_body(members) : std::string()};
        if (at->block.is_edited()) {
            keep(at->block, wanted ? &now : nullptr);
        } else {
            const std::string body = fitted(now.body, at->block.indent, ending_);
            if (hash_of_block(body) != at->block.hash) {
                merged_.report.group_changed = true;
                at->block.body = body;
                at->block.hash = hash_of_block(body);
                rewrite(*at);
            }
        }
    }

    const MergeInput& input_;
    std::vector<ConfigPiece> pieces_;
    std::string_view ending_;
    std::map<std::string, const GeneratedBlock*, std::less<>> generated_;  // by key
    std::map<std::string, std::string> moved_;
    std::set<std::string> placed_;   // keys that a block stands for
    std::set<std::string> written_;  // keys whose untouched block was met
    std::vector<std::string> in_force_;
    Merged merged_;
};

}  // namespace

Result<Merged> merge_config(const MergeInput& input) {
    return Merger(input).run();
}

}  // namespace corral
