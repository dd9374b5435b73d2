// core/log_tail and core/log_book: bounded whatever comes, and each line where it belongs.
#include "core/log_tail.hpp"

#include "core/log_book.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <string>

using namespace corral;

TEST_CASE("a tail gives what came from a position on") {
    LogTail tail;
    CHECK(tail.from(0).empty());
    tail.append("one");
    const auto here = tail.end();
    tail.append("two");
    CHECK(tail.from(0) == "one\ntwo\n");
    CHECK(tail.from(here) == "two\n");
    CHECK(tail.from(tail.end()).empty());
    CHECK(tail.from(tail.end() + 100).empty());
}

TEST_CASE("a tail stays below its bound, keeps whole lines, and counts what it dropped") {
    LogTail tail;
    std::uint64_t written = 0;
    for (int i = 0; i < 50'000; ++i) {
        const std::string line =
            std::to_string(i) + std::string(static_cast<std::size_t>(i % 97), 'x');
        tail.append(line);
        written += line.size() + 1;
        REQUIRE(tail.from(0).size() <= LogTail::bytes_max);
        REQUIRE(tail.end() == written);
    }
    CHECK(tail.from(0).size() > LogTail::bytes_max / 2);
    CHECK(tail.begin() == written - tail.from(0).size());
    CHECK(tail.from(0).front() != 'x');
    CHECK(tail.from(0).ends_with("49999" + std::string(49'999 % 97, 'x') + "\n"));
}

TEST_CASE("a line that is longer than the tail keeps its beginning, and the next is whole") {
    LogTail tail;
    tail.append(std::string(3 * LogTail::bytes_max, 'a'));
    CHECK(tail.from(0).size() == LogTail::bytes_max);
    tail.append("b");
    CHECK(tail.from(0) == "b\n");
}

TEST_CASE("followers are told of each line until they end, before the tail or after it") {
    std::optional<LogTail> tail(std::in_place);
    int first = 0;
    int second = 0;
    auto one = tail->follow([&] { ++first; });
    {
        const auto two = tail->follow([&] { ++second; });
        tail->append("x");
        CHECK(tail->followers() == 2);
    }
    tail->append("y");
    CHECK(first == 2);
    CHECK(second == 1);
    CHECK(tail->followers() == 1);
    tail.reset();
}

TEST_CASE("the book sorts lines by who wrote them, and shows what logToStdout says") {
    struct Row {
        LogToStdout select;
        const char* shown;
    };
    const Row rows[] = {{LogToStdout::proxy, "own\n"},
                        {LogToStdout::upstream, "of a\nof b\n"},
                        {LogToStdout::both, "of a\nown\nof b\n"},
                        {LogToStdout::none, ""}};
    for (const Row& row : rows) {
        Config config;
        config.log_to_stdout = row.select;
        LogBook book;
        book.adopt(config);
        book.add_output("a", "of a");
        book.add_own("own");
        book.add_output("b", "of b");
        CHECK(book.own()->from(0) == "own\n");
        CHECK(book.output()->from(0) == "of a\nof b\n");
        CHECK(book.output_of("b")->from(0) == "of b\n");
        CHECK(book.output_of("c")->from(0).empty());
        CHECK(book.shown()->from(0) == row.shown);
    }
}

TEST_CASE("the book forgets models that have left the config, but not for who still reads them") {
    LogBook book;
    Config config;
    ModelConfig stays;
    stays.id = ModelId("stays");
    config.models.push_back(stays);
    book.add_output("stays", "1");
    book.add_output("goes", "2");
    const auto reader = book.output_of("goes");
    book.adopt(config);
    CHECK(book.output_of("stays")->from(0) == "1\n");
    CHECK(book.output_of("goes")->from(0).empty());
    CHECK(reader->from(0) == "2\n");
}
