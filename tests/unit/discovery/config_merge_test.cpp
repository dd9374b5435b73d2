// The merge of what scan would write into what people made of it: nothing of theirs is lost, and
// doing it again changes nothing. Pure; no files.

#include "discovery/config_merge.hpp"

#include "core/config_load.hpp"
#include "tests/support/rounds.hpp"
#include "tests/unit/discovery/fixtures.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

using namespace corral;
using corral::testing::has;

namespace {

const std::string head = "# mine\nlogLevel: info\n\nmodels:\n";

GeneratedBlock model(const std::string& id, const std::string& flags = "") {
    return {"/m/" + id + ".gguf", id,
            "  # a model\n  \"" + id + "\":\n    cmd: |\n      server -m /m/" + id +
                ".gguf\n      --port ${PORT}" + flags + "\n    ttl: 300\n"};
}

std::string group_body(const std::vector<std::string>& members) {
    std::string text = "  default_group:\n    swap: true\n    members:\n";
    for (const std::string& member : members) {
        text += "      - \"" + member + "\"\n";
    }
    return text;
}

MergeInput input_of(const std::string& existing, std::vector<GeneratedBlock> models) {
    MergeInput input;
    input.existing = existing;
    input.models = std::move(models);
    input.today = "2026-11-26";
    input.group_id = "default_group";
    input.group_body = group_body;
    return input;
}

Merged merge(const MergeInput& input) {
    Result<Merged> merged = merge_config(input);
    REQUIRE_MESSAGE(merged.has_value(), (merged ? "" : merged.error().detail));
    return std::move(*merged);
}

Merged merge(const std::string& existing, std::vector<GeneratedBlock> models) {
    return merge(input_of(existing, std::move(models)));
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
}

std::optional<Config> loaded(const std::string& text) {
    return load_config(text, "test", [](const std::string&) { return std::nullopt; }).config;
}

std::vector<std::string> ids_of(const std::string& text) {
    const std::optional<Config> config = loaded(text);
    REQUIRE_MESSAGE(config.has_value(), text);
    std::vector<std::string> ids;
    for (const ModelConfig& entry : config->models) {
        ids.push_back(entry.id.str());
    }
    return ids;
}

using Ids = std::vector<std::string>;

}  // namespace

TEST_CASE("a file is its pieces") {
    // Guards: what is found to be a block or not, no byte is lost by looking.
    for (const std::string& text : std::vector<std::string>{
             "", "\n", "a", "# corral: model=\"x\" hash=0123456789abcdef",
             "# corral: model=\"x\" hash=0123456789abcdef\n",
             "m:\r\n  # corral: model=\"x\" hash=0123456789abcdef\r\n  a:\r\n    b: c\r\n\r\nz: 1",
             "m:\n  # corral: model=\"x\" hash=0123456789abcdef gone since 1: y\n  #|   a:\n  #|\n",
             "m:\n  # corral: model=\"x\\\" hash=0123456789abcdef\n  a: 1\n"}) {
        CHECK(join_config(split_config(text)) == text);
    }
    const auto pieces = split_config(
        "m:\n  # corral: model=\"x\" hash=0123456789abcdef\n  # why\n  'a''b': \n    c: 1\n# "
        "left\n    d: 2\n\n  # next\n  e: 1\n");
    REQUIRE(pieces.size() == 3);
    CHECK(pieces[1].block.id == "a'b");
    CHECK(pieces[1].block.body == "  # why\n  'a''b': \n    c: 1\n# left\n    d: 2\n");
    CHECK(pieces[2].text == "\n  # next\n  e: 1\n");
}

TEST_CASE("a new file is filled in order of the ids, and again changes nothing") {
    // Guards: the order does not depend on that of the disk, and a second run is none.
    const Merged first = merge(head, {model("b"), model("a"), model("c")});
    CHECK(first.report.added == Ids{"a", "b", "c"});
    CHECK(first.text.find("\"a\":") < first.text.find("\"b\":"));
    CHECK(ids_of(first.text) == Ids{"a", "b", "c"});
    CHECK(loaded(first.text)->groups.front().members.size() == 3);
    const Merged second = merge(first.text, {model("c"), model("a"), model("b")});
    CHECK(second.text == first.text);
    CHECK(second.report.added.empty());
    CHECK(second.report.updated.empty());
    CHECK_FALSE(second.report.group_changed);
    const Merged more = merge(first.text, {model("a"), model("aa"), model("b"), model("c")});
    CHECK(more.text.find("\"aa\":") < more.text.find("\"b\":"));
    CHECK(more.text.find("\"aa\":") > more.text.find("\"a\":"));
}

TEST_CASE("an untouched block is replaced, an edited one is kept to the letter and shown") {
    // Guards: the heart of it.
    const std::string first = merge(head, {model("a"), model("b")}).text;
    const std::string edited = replaced(first, "ttl: 300", "ttl: 7  # mine");
    const Merged merged = merge(edited, {model("a", " -x"), model("b", " -x")});
    CHECK(has(merged.text, "ttl: 7  # mine"));
    CHECK(merged.report.updated == Ids{"b"});
    REQUIRE(merged.report.kept.size() == 1);
    CHECK(merged.report.kept.front().id == "a");
    CHECK(has(merged.report.kept.front().written, "ttl: 7  # mine"));
    CHECK(has(merged.report.kept.front().generated, "${PORT} -x"));
    CHECK(merge(merged.text, {model("a", " -x"), model("b", " -x")}).text == merged.text);
    CHECK(merged.text.find(" -x") > merged.text.find("\"b\":"));
}

TEST_CASE("a model whose file is gone is a comment with the date, and comes back with it") {
    // Guards: nothing is lost while a disk is away, and an edit survives that, too.
    const std::string first = merge(head, {model("a"), model("b")}).text;
    const std::string edited = replaced(first, "ttl: 300", "ttl: 7");  // of "a"
    const Merged gone = merge(edited, {});
    CHECK(gone.report.gone == Ids{"a", "b"});
    CHECK(has(gone.text, " gone since 2026-11-26: "));
    CHECK(has(gone.text, "  #|     ttl: 7\n"));
    CHECK(ids_of(gone.text).empty());
    MergeInput later = input_of(gone.text, {});
    later.today = "2027-01-01";
    CHECK(merge(later).text == gone.text);
    const Merged back = merge(gone.text, {model("a", " -x"), model("b", " -x")});
    CHECK(back.report.returned == Ids{"a", "b"});
    CHECK(has(back.text, "ttl: 7"));
    const Merged once = merge(edited, {model("a", " -x"), model("b", " -x")});
    CHECK(split_config(back.text)[1].text == split_config(once.text)[1].text);
    CHECK(ids_of(back.text) == Ids{"a", "b"});
    // Taking the marks off by hand brings it back as somebody's own edit.
    std::string by_hand = gone.text;
    while (has(by_hand, "  #| ")) {
        by_hand = replaced(by_hand, "  #| ", "");
    }
    CHECK(ids_of(by_hand) == Ids{"a", "b"});
}

TEST_CASE("what was taken out stays out until it is forgotten") {
    // Guards: deleting a block is an edit like another.
    const std::string first = merge(head, {model("a"), model("b")}).text;
    const auto pieces = split_config(first);
    const std::string without = replaced(first, pieces[1].text, "");
    MergeInput input = input_of(without, {model("a"), model("b")});
    input.deleted = {"/m/a.gguf"};
    const Merged merged = merge(input);
    CHECK(ids_of(merged.text) == Ids{"b"});
    CHECK(merged.report.deleted == Ids{"a"});
    input.deleted.clear();
    CHECK(ids_of(merge(input).text) == Ids{"a", "b"});
}

TEST_CASE("line endings, a missing last one, tabs and other indentations stay as they are") {
    // Guards: a file that an editor saved in its own way is still ours to renew.
    std::string windows;
    for (const char c : merge(head, {model("a")}).text) {
        windows += c == '\n' ? "\r\n" : std::string(1, c);
    }
    CHECK(merge(windows, {model("a")}).text == windows);
    const Merged updated = merge(windows, {model("a", " -x"), model("b")});
    CHECK(updated.report.updated == Ids{"a"});
    CHECK(updated.report.kept.empty());
    std::size_t bare = 0;
    for (std::size_t i = 0; i < updated.text.size(); ++i) {
        bare += updated.text[i] == '\n' && (i == 0 || updated.text[i - 1] != '\r') ? 1 : 0;
    }
    CHECK(bare == 0);

    const std::string mine = "models:\n    own:\n        cmd: x ${PORT}\t\n# end";
    const Merged added = merge(mine, {model("b")});
    CHECK(added.text.starts_with("models:\n    own:\n        cmd: x ${PORT}\t\n\n    # corral: "));
    CHECK(has(added.text, "\n# end\n"));
    CHECK(ids_of(added.text) == Ids{"b", "own"});
    CHECK(merge(added.text, {model("b")}).text == added.text);
}

TEST_CASE("models are added wherever models can stand, and otherwise the error names the line") {
    // Guards: no guess about a form that one line cannot be added to.
    for (const char* text : {"", "logLevel: info", "models: {}\n", "models: {}  # none\nttl: 1\n",
                             "models:\n# none yet\n", "\xef\xbb\xbfmodels: ~\n", "\"models\":\n",
                             "# only a comment\n", "models:   # mine\nstartPort: 6000\n"}) {
        CAPTURE(text);
        const Merged merged = merge(text, {model("a")});
        CHECK(ids_of(merged.text) == Ids{"a"});
        CHECK(merge(merged.text, {model("a")}).text == merged.text);
    }
    const Result<Merged> refused =
        merge_config(input_of("# x\nmodels: {own: {cmd: \"x ${PORT}\"}}\n", {model("a")}));
    REQUIRE_FALSE(refused.has_value());
    CHECK(has(refused.error().detail, "line 2"));
    // Groups in one line are somebody's own.
    const Merged own =
        merge("models:\n  b: {cmd: \"x ${PORT}\"}\ngroups: {g: {members: [b]}}\n", {model("a")});
    CHECK(has(own.text, "groups: {g: {members: [b]}}\n"));
    CHECK(ids_of(own.text) == Ids{"a", "b"});
}

TEST_CASE("the generated group is a block like the others") {
    // Guards: an edited group stays, an untouched one follows the models.
    const std::string first = merge(head, {model("a")}).text;
    const Merged more = merge(first, {model("a"), model("b")});
    CHECK(loaded(more.text)->groups.front().members.size() == 2);
    const std::string edited = replaced(first, "swap: true", "swap: false");
    const Merged kept = merge(edited, {model("a"), model("b")});
    CHECK(loaded(kept.text)->groups.front().members.size() == 1);
    REQUIRE(kept.report.kept.size() == 1);
    CHECK(kept.report.kept.front().id == "default_group");
    CHECK(has(kept.report.kept.front().generated, "\"b\""));
    MergeInput none = input_of(first, {model("a")});
    none.group_id.clear();
    CHECK_FALSE(has(merge(none).text, "default_group"));
    MergeInput by_hand = input_of(first, {model("a"), model("b")});
    by_hand.grouped_by_hand = {"b"};
    CHECK(loaded(merge(by_hand).text)->groups.front().members.size() == 1);
}

TEST_CASE("a moved file's block follows it, an edited one says where it went") {
    // Guards: a directory that moves is no reason for another name.
    const std::string first = merge(head, {model("a"), model("b")}).text;
    const std::string edited = replaced(first, "ttl: 300", "ttl: 7");
    GeneratedBlock a = model("a");
    GeneratedBlock b = model("b", " -x");
    a.key = "/n/a.gguf";
    b.key = "/n/b.gguf";
    MergeInput input = input_of(edited, {a, b});
    input.moved = {{"/m/a.gguf", "/n/a.gguf"}, {"/m/b.gguf", "/n/b.gguf"}};
    const Merged merged = merge(input);
    CHECK(merged.report.updated == Ids{"b"});
    CHECK(merged.report.added.empty());
    CHECK(has(merged.text, "model=\"/n/b.gguf\""));
    REQUIRE(merged.report.kept.size() == 1);
    CHECK(merged.report.kept.front().moved_to == "/n/a.gguf");
    CHECK(has(merged.text, "ttl: 7"));
}

namespace {

/// A config and its disk, changed at random by a person and by downloads.
class Yard {
public:
    explicit Yard(unsigned seed) : random_(seed) {}

    void round() {
        change_disk();
        edit();
        renew();
    }

private:
    std::size_t below(std::size_t limit) { return random_() % limit; }

    void change_disk() {
        const std::string id(1, static_cast<char>('a' + below(6)));
        switch (below(3)) {
            case 0:
                disk_.erase(id);
                break;
            case 1:
                disk_[id] = " -f" + std::to_string(below(3));
                break;
            default:
                break;
        }
    }

    std::string mine() { return "# mine " + std::to_string(++edits_) + " #"; }

    /// One edit that keeps the file a config; what it wrote must be there for ever.
    void edit() {
        std::vector<ConfigPiece> pieces = split_config(text_);
        std::vector<std::size_t> blocks;
        for (std::size_t i = 0; i < pieces.size(); ++i) {
            if (pieces[i].is_block && pieces[i].block.gone.empty()) {
                blocks.push_back(i);
            }
        }
        if (blocks.empty()) {
            return;
        }
        ConfigPiece& piece = pieces[blocks[below(blocks.size())]];
        switch (below(7)) {
            case 0:  // a comment in a block
                if (piece.text.ends_with('\n')) {
                    keep_.push_back(mine());
                    piece.text += "    " + keep_.back() + ending() + "    " + ending();
                    keep_block(piece);
                }
                break;
            case 1:  // a value in a block
                if (const std::size_t at = piece.text.find("ttl: 300");
                    at != std::string::npos && !piece.block.is_group && !piece.block.is_edited()) {
                    keep_.push_back(mine());
                    piece.text.replace(at, 8, "ttl: 5  " + keep_.back());
                    keep_block(piece);
                }
                break;
            case 2:  // a block taken out
                if (!piece.block.is_group && !piece.block.is_edited() &&
                    !has_edited_group(pieces)) {
                    deleted_.insert(piece.block.key);
                    piece.text.clear();
                }
                break;
            case 3:  // a model of one's own
                if (!piece.block.is_group && piece.text.ends_with('\n')) {
                    keep_.push_back("  own" + std::to_string(++edits_) + ": {cmd: \"x ${PORT}\"}");
                    piece.text += keep_.back() + ending();
                }
                break;
            case 4:  // a comment anywhere between blocks
                keep_.push_back(mine());
                pieces.back().text +=
                    (pieces.back().text.ends_with('\n') ? "" : ending()) + keep_.back();
                break;
            case 5:  // other line endings
                windows_ = !windows_;
                convert(pieces);
                break;
            default:
                break;
        }
        text_ = join_config(pieces);
    }

    /// It may name the model: then taking that out would be a mistake.
    static bool has_edited_group(const std::vector<ConfigPiece>& pieces) {
        return std::any_of(pieces.begin(), pieces.end(), [](const ConfigPiece& piece) {
            return piece.is_block && piece.block.is_group && piece.block.is_edited();
        });
    }

    std::string ending() const { return windows_ ? "\r\n" : "\n"; }

    void convert(std::vector<ConfigPiece>& pieces) const {
        for (ConfigPiece& piece : pieces) {
            std::string out;
            for (const char c : piece.text) {
                if (c == '\n') {
                    out += ending();
                } else if (c != '\r') {
                    out += c;
                }
            }
            piece.text = out;
        }
    }

    /// An edited block stays as a whole: each of its lines, whatever it ends with.
    void keep_block(const ConfigPiece& piece) {
        for (const std::string_view line : split_lines(piece.text)) {
            keep_.emplace_back(line.substr(0, line.find_last_not_of("\r\n") + 1));
        }
    }

    void renew() {
        std::vector<GeneratedBlock> models;
        for (const auto& [id, flags] : disk_) {
            models.push_back(model(id, flags));
        }
        std::shuffle(models.begin(), models.end(), random_);
        MergeInput input = input_of(text_, models);
        input.deleted = deleted_;
        Merged once = merge(input);
        if (!loaded(once.text)) {  // an edited group names what is gone: as renew_config() does
            input.comment_out = false;
            once = merge(input);
        }
        input.existing = once.text;
        input.today = "2027-01-01";
        const Merged twice = merge(input);
        CHECK(twice.text == once.text);
        CHECK(twice.report.gone.empty());
        const auto config = loaded(once.text);
        REQUIRE_MESSAGE(config.has_value(), once.text);
        for (const std::string& line : keep_) {
            const bool there = has(once.text, line) || stands_as_comment(once.text, line);
            CHECK_MESSAGE(there, line);
        }
        for (const auto& [id, flags] : disk_) {
            const bool deleted = deleted_.contains("/m/" + id + ".gguf");
            CHECK((config->find_id(ModelId(id)) != nullptr) == !deleted);
        }
        text_ = once.text;
    }

    /// An edited block's marker changes when it is commented out; its other lines do not.
    static bool stands_as_comment(const std::string& text, const std::string& line) {
        return line.find("# corral: ") != std::string::npos || has(text, "#| " + line) ||
               (line.empty() && has(text, "#|"));
    }

    std::mt19937 random_;
    std::string text_ = head;
    std::map<std::string, std::string> disk_;
    std::set<std::string> deleted_;
    std::vector<std::string> keep_;
    bool windows_ = false;
    int edits_ = 0;
};

}  // namespace

TEST_CASE("random edits and random changes on disk: nothing of a person's is lost") {
    // Guards: the promise of regeneration, over thousands of histories.
    for (int seed = 0; seed < test::rounds(300); ++seed) {
        CAPTURE(seed);
        Yard yard(static_cast<unsigned>(seed));
        for (int round = 0; round < 20; ++round) {
            CAPTURE(round);
            yard.round();
        }
    }
}
