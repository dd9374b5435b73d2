// OutputRing: bounded whatever comes, and fit to be shown whatever was in it.

#include "supervisor/launch/output_ring.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace corral;

TEST_CASE("last_lines gives complete lines only, oldest first") {
    OutputRing ring;
    ring.append("one\ntwo\nthr");
    CHECK(ring.last_lines(10) == "one\ntwo");
    CHECK(ring.last_lines(1) == "two");
    CHECK(ring.last_lines(0).empty());
    ring.append("ee\n");
    CHECK(ring.last_lines(2) == "two\nthree");
    ring.append("the last");
    ring.finish();
    ring.finish();
    CHECK(ring.last_lines(2) == "three\nthe last");
    CHECK(ring.line_count() == 4);
}

TEST_CASE("any split of the stream gives the same lines") {
    const std::string text =
        "a\n\nbb\r\n\x1b[31mred\x1b[0m\n" + std::string(20000, 'x') + "\nend\n";
    OutputRing whole;
    whole.append(text);
    OutputRing single;
    for (const char c : text) {
        single.append({&c, 1});
    }
    CHECK(whole.last_lines(100) == single.last_lines(100));
    CHECK(whole.line_count() == single.line_count());
    CHECK(whole.byte_count() == text.size());
}

TEST_CASE("a line is cut at 16 KiB and the next one begins where its own begins") {
    OutputRing ring;
    for (int i = 0; i < 100; ++i) {
        ring.append(std::string(1000, 'x'));
    }
    ring.append("\nnext\n");
    std::vector<std::size_t> sizes;
    ring.each_line_from(
        0, [&](std::uint64_t, std::string_view line) { sizes.push_back(line.size()); });
    CHECK(sizes == std::vector<std::size_t>{OutputRing::line_bytes_max, 4});
    CHECK(ring.last_lines(1) == "next");
    CHECK(ring.last_lines(2).size() == OutputRing::shown_bytes_max + 5);
}

TEST_CASE("the ring never keeps more than its bound, and keeps what came last") {
    OutputRing ring;
    std::size_t kept = 0;
    std::uint64_t last = 0;
    for (int i = 0; i < 20000; ++i) {
        ring.append("line " + std::to_string(i) + '\n' +
                    std::string(static_cast<std::size_t>(i % 50), '\n'));
        if (i % 1000 == 999) {
            kept = 0;
            ring.each_line_from(0, [&](std::uint64_t sequence, std::string_view line) {
                kept += line.size() + 1;
                last = sequence;
            });
            CHECK(kept <= OutputRing::bytes_max);
            CHECK(kept > OutputRing::bytes_max / 2);
            CHECK(last + 1 == ring.line_count());
        }
    }
    CHECK(ring.last_lines(1) == "line 19999");
}

TEST_CASE("each_line_from begins at the asked sequence number, or at the oldest that is kept") {
    OutputRing ring;
    ring.append("a\nb\nc\n");
    std::string seen;
    ring.each_line_from(1, [&](std::uint64_t sequence, std::string_view line) {
        seen += std::to_string(sequence) + std::string(line);
    });
    CHECK(seen == "1b2c");
}

TEST_CASE("a line is shown without control characters, escapes, or broken UTF-8") {
    const auto show = [](std::string_view raw) { return presentable_line(raw, 512); };
    CHECK(show("\x1b[1;31merror\x1b[0m: x") == "error: x");
    CHECK(show("\x1b]0;title\x07text\x1b]8;;http://x\x1b\\link") == "textlink");
    CHECK(show("\x1b(Bplain\x1b") == "plain");
    CHECK(show("tab\tstays, bell\a and \x7f go") == "tab\tstays, bell and  go");
    CHECK(show("10%\r50%\r100%\r\r") == "100%");
    CHECK(show("gr\xC3\xBC\xC3\x9F") == "gr\xC3\xBC\xC3\x9F");
    CHECK(show("\xC2\x85next") == "next");  // C1
    CHECK(show("a\xFFz\xC3") == "a\xEF\xBF\xBDz\xEF\xBF\xBD");
    CHECK(show("\xED\xA0\x80") == "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");  // a surrogate
    CHECK(presentable_line("abc\xC3\xBC", 4) == "abc");                     // not half a letter
}

TEST_CASE("lines with nothing to show do not use up the lines that are asked for") {
    OutputRing ring;
    ring.append("why it failed\n\n\x1b[0m\n   \n");
    CHECK(ring.last_lines(1) == "why it failed");
}
