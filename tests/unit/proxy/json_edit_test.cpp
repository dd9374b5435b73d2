// Edits of JSON text put what sjson would put where sjson would put it, and touch nothing else.
#include "proxy/http/json_edit.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace corral;
using namespace corral::http;

namespace {

struct Change {
    const char* path;
    const char* json;  ///< nullptr: remove
};

JsonEdit edit_of(const Change& change) {
    JsonEdit out;
    out.kind = change.json != nullptr ? JsonEdit::Kind::set : JsonEdit::Kind::remove;
    out.path = parse_json_path(change.path).value();
    out.json = change.json != nullptr ? change.json : "";
    return out;
}

Result<std::string> edited(std::string_view document, const std::vector<Change>& changes) {
    std::vector<JsonEdit> edits;
    for (const auto& change : changes) {
        edits.push_back(edit_of(change));
    }
    return edit_json(document, edits);
}

struct Row {
    const char* document;
    std::vector<Change> changes;
    const char* want;
};

void check(const std::vector<Row>& rows) {
    for (const auto& row : rows) {
        CAPTURE(row.document);
        CAPTURE(row.want);
        const auto got = edited(row.document, row.changes);
        REQUIRE(got);
        CHECK(*got == row.want);
    }
}

constexpr const char* drop = nullptr;

}  // namespace

TEST_CASE("the transcripts of llama-swap's own filters") {
    // Guards: Appendix A of the contract, byte for byte.
    check({
        {R"({"model":"a","temperature":1,"top_p":2,"messages":[]})",
         {{"model", R"("real-a")"},
          {"temperature", drop},
          {"top_p", drop},
          {"nested.key", "5"},
          {"x", "1"}},
         R"({"model":"real-a","messages":[],"nested":{"key":5},"x":1})"},
        {R"({"model":"a:high","messages":[{"x":1.0,"y":"\u00e9"}] ,  "z":null})",
         {{"model", R"("real-a")"},
          {"temperature", drop},
          {"nested.key", "5"},
          {"x", "1"},
          {"effort", R"("high")"}},
         R"({"model":"real-a","messages":[{"x":1.0,"y":"\u00e9"}] ,  "z":null,)"
         R"("nested":{"key":5},"x":1,"effort":"high"})"},
    });
}

TEST_CASE("an existing value is replaced where it stands") {
    // Guards: what stands around a replaced value stays, whatever the value is.
    check({
        {R"( { "a" : 1.50e+1 , "b":2 } )", {{"a", "7"}}, R"( { "a" : 7 , "b":2 } )"},
        {R"({"a":{"b":[1,{"c":"}"}]},"d":0})", {{"a", "7"}}, R"({"a":7,"d":0})"},
        {R"({"a":"\\\"]},","b":-0})", {{"a", "null"}}, R"({"a":null,"b":-0})"},
        {R"({"a":{ "b" : true }})", {{"a.b", "[]"}}, R"({"a":{ "b" : [] }})"},
        {R"({"a":[1, 2 ,3]})", {{"a.1", "7"}}, R"({"a":[1, 7 ,3]})"},
        {R"({"a":[[1],{"x":[0]}]})", {{"a.1.x.0", "7"}}, R"({"a":[[1],{"x":[7]}]})"},
        {R"({"0":1})", {{"0", "7"}}, R"({"0":7})"},
        {R"({"-1":1})", {{"-1", "7"}}, R"({"-1":7})"},
        {R"({"a.b":1,"a":{"b":2}})", {{R"(a\.b)", "7"}}, R"({"a.b":7,"a":{"b":2}})"},
        {R"({"temp\u0065rature":1})", {{"temperature", "7"}}, R"({"temp\u0065rature":7})"},
        {R"({"\ud83d\ude00\n\"":1})", {{"\xf0\x9f\x98\x80\n\"", "7"}}, R"({"\ud83d\ude00\n\"":7})"},
        {R"({"a":1})", {{"a", R"({"b":1})"}, {"a.b", "2"}, {"a.c", "3"}}, R"({"a":{"b":2,"c":3}})"},
    });
}

TEST_CASE("a missing key comes behind the last, a missing element behind the array's end") {
    // Guards: sjson's places for what is new, and that the whitespace before a bracket stays.
    check({
        {"{}", {{"a", "1"}}, R"({"a":1})"},
        {"{ }", {{"a", "1"}}, R"({ "a":1})"},
        {"\n{\"b\":2 } ", {{"a", "1"}}, "\n{\"b\":2 ,\"a\":1} "},
        {R"({"a":{"b":1}})", {{"a.c", "2"}, {"a.c.d", "3"}}, R"({"a":{"b":1,"c":{"d":3}}})"},
        {R"({"a":[]})", {{"a.-1", "1"}, {"a.-1", "2"}}, R"({"a":[1,2]})"},
        {R"({"a":[1 ]})", {{"a.-1.x", "1"}}, R"({"a":[1 ,{"x":1}]})"},
        {R"({"a":[1,2]})", {{"a.4", "5"}}, R"({"a":[1,2,null,null,5]})"},
        {R"({"a":[]})", {{"a.1.b", "5"}}, R"({"a":[null,{"b":5}]})"},
        {R"({"a":{}})", {{"a.0", "5"}, {"a.-1", "6"}}, R"({"a":{"0":5,"-1":6}})"},
        {"{}", {{"a.b.c", "1"}}, R"({"a":{"b":{"c":1}}})"},
        {"{}", {{"a.1.b", "1"}}, R"({"a":[null,{"b":1}]})"},
        {"{}", {{"a.-1", "1"}}, R"({"a":[1]})"},
        {"{}", {{"a.:1", "1"}}, R"({"a":{"1":1}})"},
        {"{}",
         {{"a\"\\\n\xc3\xa9", "1"}, {"a\"\\\\\n\xc3\xa9", "2"}},
         "{\"a\\\"\\n\xc3\xa9\":1,\"a\\\"\\\\\\n\xc3\xa9\":2}"},
        {R"({"x":1})", {{"x", drop}, {"x", "2"}}, R"({"x":2})"},
        {R"({"x":1,"y":2})", {{"x", drop}, {"x", "2"}}, R"({"y":2,"x":2})"},
    });
}

TEST_CASE("what is neither object nor array gives way to the parent that a path needs") {
    // Guards: setting below a number or null works as in sjson instead of failing.
    check({
        {R"({"a":1})", {{"a.b", "2"}}, R"({"a":{"b":2}})"},
        {R"({"a":null})", {{"a.b.c", "2"}}, R"({"a":{"b":{"c":2}}})"},
        {R"({"a":"x"})", {{"a.1", "2"}}, R"({"a":[null,2]})"},
    });
}

TEST_CASE("with a value go its key and one comma") {
    // Guards: removal leaves valid JSON at every position, and the whitespace that sjson leaves.
    check({
        {R"({"a":1,"b":2,"c":3})", {{"a", drop}}, R"({"b":2,"c":3})"},
        {R"({"a":1,"b":2,"c":3})", {{"b", drop}}, R"({"a":1,"c":3})"},
        {R"({"a":1,"b":2,"c":3})", {{"c", drop}}, R"({"a":1,"b":2})"},
        {R"({"a":1})", {{"a", drop}}, "{}"},
        {R"({ "a" : 1 })", {{"a", drop}}, "{ }"},
        {R"({ "a" : 1 , "b" : 2 })", {{"a", drop}}, R"({ "b" : 2 })"},
        {R"({ "a" : 1 , "b" : 2 })", {{"b", drop}}, R"({ "a" : 1  })"},
        {"{\n \"a\":1,\n \"b\":2\n}", {{"b", drop}}, "{\n \"a\":1\n}"},
        {"{\n \"a\":1,\n \"b\":2\n}", {{"a", drop}, {"b", drop}}, "{\n}"},
        {R"({"a":[1, 2,3]})", {{"a.0", drop}}, R"({"a":[ 2,3]})"},
        {R"({"a":[1, 2,3]})", {{"a.1", drop}}, R"({"a":[1,3]})"},
        {R"({"a":[1, 2,3]})", {{"a.-1", drop}}, R"({"a":[1, 2]})"},
        {R"({"a":[1,2,3]})", {{"a.0", drop}, {"a.1", drop}}, R"({"a":[2]})"},
        {R"({"a":[{"b":1},{"b":2}]})", {{"a.-1.b", drop}}, R"({"a":[{"b":1},{}]})"},
        {R"({"a":{"b":{"c":1,"d":2}}})", {{"a.b.c", drop}}, R"({"a":{"b":{"d":2}}})"},
        {R"({"t\u006fp_p":1,"b":2})", {{"top_p", drop}}, R"({"b":2})"},
    });
}

TEST_CASE("removing what is not there changes nothing") {
    // Guards: a stripped parameter that the client did not send costs it nothing.
    for (const auto* document : {"{}", " { } ", R"({"b":1 , "c":[1]})", R"({"a":1})", "[]", "1",
                                 R"({"a":[]})", R"({"a":[1]})", R"({"a":{"c":1}})"}) {
        CAPTURE(document);
        CHECK(edited(document, {{"a.b", drop}, {"a.7", drop}, {"x", drop}, {"a.-1.b", drop}})
                  .value() == document);
        CHECK(edited(document, {}).value() == document);
    }
}

TEST_CASE("a key that stands there several times is meant every time") {
    // Guards: a removed or enforced parameter cannot survive in a duplicate, for readers that take
    // the first or those that take the last.
    check({
        {R"({"a":1,"b":2,"\u0061":3})", {{"a", drop}}, R"({"b":2})"},
        {R"({"a":1,"a":2})", {{"a", drop}}, "{}"},
        {R"({"a":1 ,"a":2 })", {{"a", drop}}, "{ }"},
        {R"({"b":0 ,"a":1 ,"a":2 })", {{"a", drop}}, R"({"b":0   })"},
        {R"({"a":1,"b":2,"a":3})", {{"a", "7"}}, R"({"a":7,"b":2,"a":7})"},
        {R"({"a":{"b":1},"a":{"b":2,"c":3}})", {{"a.b", drop}}, R"({"a":{},"a":{"c":3}})"},
        {R"({"a":1,"a":{"b":2}})", {{"a.b", "7"}}, R"({"a":{"b":7},"a":{"b":7}})"},
    });
}

TEST_CASE("a value that has no place in the document is refused") {
    // Guards: an edit is applied or reported, never dropped.
    struct Misfit {
        const char* document;
        Change change;
        const char* why;
    };
    const Misfit rows[] = {
        {R"({"a":[]})", {"a.b", "1"}, "an array has no key \"b\""},
        {R"({"a":[1]})", {"a.-2", "1"}, "an array has no key \"-2\""},
        {R"({"a":[]})", {"a.1001", "1"}, "an array ends far before 1001"},
        {"{}", {"a.999999999", "1"}, "an array ends far before 999999999"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.document);
        const auto got = edited(row.document, {row.change});
        REQUIRE_FALSE(got);
        CHECK(got.error().is(Errc::bad_request));
        CHECK(got.error().detail == row.why);
    }
    CHECK(edited(R"({"a":[]})", {{"a.1000", "1"}}));
}

TEST_CASE("memory for what an edit goes into is bounded") {
    // Guards: a body of millions of members costs no many times its size; one that is not entered
    // is not counted.
    std::string many = "[0";
    for (std::size_t i = 0; i < json_edit_members_max; ++i) {
        many += ",0";
    }
    many += "]";
    const auto document = R"({"a":)" + many + "}";
    CHECK(edited(document, {{"b", "1"}}).value() == R"({"a":)" + many + R"(,"b":1})");
    CHECK(edited(document, {{"a", "1"}}).value() == R"({"a":1})");
    const auto inside = edited(document, {{"a.0", drop}});
    REQUIRE_FALSE(inside);
    CHECK(inside.error().is(Errc::bad_request));
}

TEST_CASE("text that is not JSON ends nowhere but at its end") {
    // Guards: even a caller that breaks the rule cannot make the editor read beyond the text.
    for (const std::string_view text :
         {"", " ", "{", "[", "\"", "{\"", "{\"a", "{\"a\\", "{\"a\"", "{\"a\":", "{\"a\":[", "[,",
          "{\"\\u", "{\"\\ud800\\u", "{\"a\":1,", "}", ",", "{\"a\\\"", "[[[["}) {
        CAPTURE(text);
        const auto set = edited(text, {{"a.b", "1"}, {"a.0", drop}});
        CHECK((set || set.error().is(Errc::bad_request)));
    }
}
