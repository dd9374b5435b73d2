// What models leave outside of their processes: the notes, whose they are, and what is run for
// them.

#include "supervisor/launch/leftovers.hpp"

#include "core/file.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

using namespace corral;
namespace fs = std::filesystem;

namespace {

class Folder {
public:
    Folder() {
        std::string name = (fs::temp_directory_path() / "corral-leftovers-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path = name;
    }
    ~Folder() {
        std::error_code ignored;
        fs::remove_all(path, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    std::string path;
};

/// A leftover whose stop command leaves a line in a file.
Leftover leaving(const std::string& file, const std::string& words) {
    Leftover out;
    out.model = "m";
    out.stop = {"sh", "-c", "echo " + words + " >> \"$MARK\""};
    out.env = {"MARK=" + file};
    out.boot = boot_id();
    return out;
}

std::string text_of(const std::string& file) {
    const auto text = read_text_file(file, 4096);
    return text ? *text : std::string();
}

/// Leaves a note as a Corral that was killed does: with nobody who holds its lock.
void leave(const std::string& directory, const std::string& owner, const std::string& text) {
    fs::create_directories(directory + "/" + owner);
    std::ofstream(directory + "/" + owner + "/lock");
    std::ofstream(directory + "/" + owner + "/a.run") << text;
}

int stop_all(const std::string& directory, int timeout_ms = 10'000) {
    return stop_leftovers(directory, timeout_ms, [](const std::string&) {});
}

}  // namespace

TEST_CASE("a note says the same when it is read again") {
    // Guards: words with blanks, line ends and backslashes reach the stop command as they were.
    const Leftover all{"org/m: 1", {"stop", "a b", "line\nline\\n", ""}, {"A=\\", "B="}, 7, 8, "x"};
    CHECK(parse_leftover(write_leftover(all)) == all);
}

TEST_CASE("a broken note is no note") {
    // Guards: no half of a command is ever run.
    const std::string good = write_leftover({"m", {"stop", "all of it"}, {}, 7, 8, "x"});
    for (std::size_t size = 0; size + 1 < good.size(); ++size) {
        CAPTURE(size);
        const auto read = parse_leftover(good.substr(0, size));
        CHECK(!read);
    }
    CHECK(!parse_leftover("corral leftover 2\nstop x\nend\n"));
    CHECK(!parse_leftover("corral leftover 1\nmodel m\nend\n"));
    CHECK(!parse_leftover("corral leftover 1\npid x\nstop x\nend\n"));
    CHECK(!parse_leftover("corral leftover 1\nstp x\nend\n"));
}

TEST_CASE("a number alone is not taken for the process that once had it") {
    // Guards: after a crash or a reboot `kill ${PID}` hits nobody else.
    Leftover leftover{"m", {"kill", "${PID}"}, {}, 42, 1'000, "this boot"};
    ProcessInfo same;
    same.pid = 42;
    same.start_ticks = 1'000;
    ProcessInfo other = same;
    other.start_ticks = 1'001;
    const std::vector<std::string> words{"kill", "42"};
    CHECK(stop_words(leftover, "this boot", same) == words);
    CHECK(stop_words(leftover, "this boot", std::nullopt) == words);  // hits nobody
    CHECK(!stop_words(leftover, "this boot", other));
    CHECK(!stop_words(leftover, "next boot", same));
    leftover.pid = 0;
    CHECK(!stop_words(leftover, "this boot", std::nullopt));
    leftover.stop = {"docker", "stop", "m"};
    CHECK(stop_words(leftover, "next boot", other) == leftover.stop);
}

TEST_CASE("what a dead Corral noted is stopped once") {
    // Guards: its stop command runs with the model's environment, then the note is gone.
    const Folder folder;
    const std::string mark = folder.path + "/mark";
    leave(folder.path + "/l", "dead", write_leftover(leaving(mark, "stopped")));
    CHECK(stop_all(folder.path + "/l") == 1);
    CHECK(text_of(mark) == "stopped\n");
    CHECK(stop_all(folder.path + "/l") == 0);
    CHECK(text_of(mark) == "stopped\n");
    CHECK(fs::is_empty(folder.path + "/l"));
}

TEST_CASE("the notes of a Corral that lives are left alone") {
    // Guards: two Corrals of one user never stop each other's containers.
    const Folder folder;
    const std::string mark = folder.path + "/mark";
    const std::string directory = folder.path + "/state/leftovers";
    {
        LeftoverBook book(directory);
        book.note("a", leaving(mark, "stopped"));
        CHECK(stop_all(directory) == 0);
        book.note("b", leaving(mark, "struck"));
        book.strike("b");
    }
    CHECK(text_of(mark).empty());
    CHECK(stop_all(directory) == 1);  // it has ended without having stopped the one
    CHECK(text_of(mark) == "stopped\n");
}

TEST_CASE("a Corral that has stopped everything leaves nothing") {
    // Guards: no directory is left behind for each start; nothing is made before there is a note.
    const Folder folder;
    const std::string directory = folder.path + "/state";
    {
        const LeftoverBook unused(directory);
        CHECK(!fs::exists(directory));
        LeftoverBook book(directory);
        book.note("a", leaving("x", "x"));
        struct stat status {};
        const auto own = fs::directory_iterator(directory)->path();
        REQUIRE(::stat((own / "a.run").c_str(), &status) == 0);
        CHECK((status.st_mode & 0777U) == 0600U);  // environments may hold secrets
        REQUIRE(::stat(own.c_str(), &status) == 0);
        CHECK((status.st_mode & 0777U) == 0700U);
        book.strike("a");
    }
    CHECK(fs::is_empty(directory));
}

TEST_CASE("a stop command that hangs is killed, one that is missing is told") {
    // Guards: neither keeps Corral from starting.
    const Folder folder;
    Leftover hangs = leaving("x", "x");
    hangs.stop = {"sleep", "1000"};
    leave(folder.path, "hanging", write_leftover(hangs));
    CHECK(stop_all(folder.path, 50) == 1);
    Leftover missing = hangs;
    missing.stop = {"/no/such/program"};
    leave(folder.path, "missing", write_leftover(missing));
    leave(folder.path, "broken", "nonsense");
    std::vector<std::string> said;
    CHECK(stop_leftovers(folder.path, 1'000,
                         [&](const std::string& text) { said.push_back(text); }) == 0);
    CHECK(said.size() == 2);
    CHECK(fs::is_empty(folder.path));
}

TEST_CASE("a state directory that cannot be used keeps no model down") {
    // Guards: noting and looking are silent failures for the model.
    const Folder folder;
    std::ofstream(folder.path + "/file");
    LeftoverBook book(folder.path + "/file/below");
    book.note("a", leaving("x", "x"));
    book.strike("a");
    LeftoverBook nowhere("");
    nowhere.note("a", leaving("x", "x"));
    CHECK(stop_all(folder.path + "/none") == 0);
    CHECK(stop_all("") == 0);
    CHECK(stop_all(folder.path + "/file") == 0);
}
