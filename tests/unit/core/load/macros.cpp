// core/load/macros: reverse order, typed values, bounds.
#include "core/load/macros.hpp"

#include "tests/unit/core/load_support.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace corral;
using namespace corral::load;

namespace {

Value expand(const MacroScope& scope, const std::string& text) {
    MacroBudget budget;
    auto result = scope.expand(text, budget);
    REQUIRE(result.has_value());
    return *result;
}

}  // namespace

TEST_CASE("later macros may use earlier ones, not the other way round") {
    // Guards: the single pass in reverse order of declaration.
    MacroScope scope;
    scope.define("a", std::string("1"));
    scope.define("b", std::string("<${a}>"));
    scope.define("forward", std::string("${late}"));
    scope.define("late", std::string("x"));
    CHECK(expand(scope, "${b}${a}") == Value(std::string("<1>1")));
    CHECK(expand(scope, "-${forward}") == Value(std::string("-${late}")));
    CHECK(expand(scope, "${unknown} $a ${ a} ${a") ==
          Value(std::string("${unknown} $a ${ a} ${a")));
    CHECK(expand(scope, "${${a}}") == Value(std::string("${1}")));
}

TEST_CASE("a value that is one macro takes its type") {
    // Guards: `ttl: ${x}` is a number, `"${x}s"` is a text.
    MacroScope scope;
    scope.define("n", std::int64_t{300});
    scope.define("f", 1.5);
    scope.define("t", true);
    scope.define("through", std::string("${n}"));
    CHECK(expand(scope, "${n}") == Value(std::int64_t{300}));
    CHECK(expand(scope, "${through}") == Value(std::int64_t{300}));
    CHECK(expand(scope, "${n}s ${f} ${t}") == Value(std::string("300s 1.5 true")));
}

TEST_CASE("a model's macros override the globals where these stand") {
    // Guards: position decides who may use whom; MODEL_ID is known to all.
    MacroScope global;
    global.define("a", std::string("global"));
    global.define("b", std::string("b:${a}"));
    MacroScope scope(global, "m1");
    scope.define("a", std::string("own of ${MODEL_ID}"));
    scope.define("c", std::string("c:${b}"));
    CHECK(expand(scope, "${c}") == Value(std::string("c:b:own of m1")));
    CHECK(expand(global, "${b}") == Value(std::string("b:global")));
    CHECK(expand(global, "${MODEL_ID}") == Value(std::string("${MODEL_ID}")));
}

TEST_CASE("growth is bounded") {
    // Guards safety.md case 115: thirty doublings end in an error, not in a gigabyte.
    MacroScope scope;
    scope.define("m0", std::string("xxxxxxxxxx"));
    for (int i = 1; i <= 30; ++i) {
        const std::string last = "${m" + std::to_string(i - 1) + "}";
        scope.define("m" + std::to_string(i), last + last);
    }
    MacroBudget budget;
    const auto result = scope.expand(std::string("${m30}"), budget);
    REQUIRE(result.has_error());
    CHECK(result.error().detail.find("too large") != std::string::npos);
}

TEST_CASE("a mistyped name is told apart from one that is only not seen") {
    // Guards: "did you mean" names what may stand there, and never the name itself.
    const auto hint_of = [](const std::string& yaml) {
        const auto loaded = corral::test::load(yaml);
        const auto* found = corral::test::error_with(loaded, "unknown macro");
        return found != nullptr ? found->hint : "no error";
    };
    CHECK(hint_of("macros: {base: x}\nmodels: {m: {cmd: '${bsae} ${PORT}'}}") ==
          "did you mean ${base}?");
    CHECK(hint_of("models: {m: {macros: {args: x}, cmd: '${arg} ${PORT}'}}") ==
          "did you mean ${args}?");
    CHECK(hint_of("models: {m: {cmd: 'x ${POTR}'}}") == "did you mean ${PORT}?");
    CHECK(hint_of("macros: {a: '${b}', b: x}\nlogLevel: ${a}").find("macros above it") !=
          std::string::npos);
}

TEST_CASE("names are refused in the peer's words") {
    // Guards: the rows of the contract's 2.4.
    CHECK(macro_name_mistake(std::string(63, 'a')).empty());
    CHECK(macro_name_mistake(std::string(64, 'a')).find("exceeds maximum length of 63") !=
          std::string::npos);
    for (const char* name : {"", "a b", "a.b", "é", "a$"}) {
        CHECK(macro_name_mistake(name).find("contains invalid characters") != std::string::npos);
    }
    for (const char* name : {"PID", "PORT", "MODEL_ID"}) {
        CHECK(macro_name_mistake(name).find("is reserved") != std::string::npos);
    }
}
