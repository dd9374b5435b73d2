// What chat templates are said to support. Pure.

#include "discovery/chat_template.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace corral;

TEST_CASE("Guards: tools count where the template's code looks at them, not where prose does") {
    CHECK(read_template("{%- if tools %}x{% endif %}").tools);
    CHECK(read_template("{{ tools | tojson }}").tools);
    CHECK(read_template("{% if not tools is defined %}").tools);
    CHECK(read_template("a { b {% for t in tools %}").tools);
    CHECK_FALSE(read_template("You have no tools.").tools);
    CHECK_FALSE(read_template("{{ 'x' }} tools {{ 'y' }}").tools);
    CHECK_FALSE(read_template("{% if my_tools or toolset %}").tools);
    CHECK_FALSE(read_template("{{ message.tool_calls }}").tools);
}

TEST_CASE("Guards: thinking is told by its marks and by its switches") {
    for (const char* text :
         {"x<think>y", "{{ content.split('</think>') }}", "[THINK]", "{% if enable_thinking %}",
          "{{ message.reasoning_content }}", "<|channel|>analysis", "{{ reasoning_effort }}"}) {
        CHECK(read_template(text).thinking);
    }
    for (const char* text : {"", "Think first.", "thinking", "{{ 'a' }}", "{% if rethinking %}"}) {
        CHECK_FALSE(read_template(text).thinking);
    }
}

TEST_CASE("Guards: a template may be cut anywhere or be none at all") {
    const std::string text = "{% if tools %}{{ x }}{%- endif %}{# note #}{{ {} }}";
    for (std::size_t size = 0; size <= text.size(); ++size) {
        const TemplateTraits traits = read_template(std::string_view(text).substr(0, size));
        CHECK(traits.tools == (size >= std::string_view("{% if tools").size()));
        CHECK_FALSE(traits.thinking);
    }
    CHECK_FALSE(read_template(std::string(100'000, '{')).tools);
}
