// What a model's filters do to one request, in the order of llama-swap.
#include "proxy/http/filter_edits.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace corral;
using namespace corral::http;

namespace {

/// The model `a` of the contract's Appendix A.
Filters appendix_a() {
    Filters out;
    out.strip_params = {"temperature", "top_p"};
    out.set_params = {{"nested.key", "5"}, {"x", "1"}};
    out.set_params_by_id = {{"a:high", {{"effort", R"("high")"}}}};
    return out;
}

std::string filtered(const Filters& filters, std::string_view asked_for, std::string_view body) {
    const auto edits = filter_edits(filters, asked_for);
    return edit_json(body, edits.value()).value();
}

}  // namespace

TEST_CASE("parameters are stripped, then set, then set by the id that was asked for") {
    // Guards: the order decides who wins, and a setting for another id is not applied.
    const auto filters = appendix_a();
    constexpr std::string_view body = R"({"model":"a","temperature":1,"top_p":2,"x":0})";
    CHECK(filtered(filters, "a", body) == R"({"model":"a","x":1,"nested":{"key":5}})");
    CHECK(filtered(filters, "a:high", body) ==
          R"({"model":"a","x":1,"nested":{"key":5},"effort":"high"})");
    CHECK(filtered(filters, "a:hig", body) == filtered(filters, "a", body));
    Filters same;
    same.strip_params = {"x"};
    same.set_params = {{"x", "1"}};
    same.set_params_by_id = {{"a", {{"x", "2"}}}};
    CHECK(filtered(same, "a", R"({"x":0,"y":0})") == R"({"y":0,"x":2})");
    CHECK(filtered(same, "b", R"({"x":0,"y":0})") == R"({"y":0,"x":1})");
}

TEST_CASE("without a filter that applies there is nothing to edit") {
    // Guards: such a body streams, it is not held for edits that change nothing.
    CHECK(filter_edits(Filters{}, "a").value().empty());
    Filters other;
    other.set_params_by_id = {{"b", {{"x", "1"}}}};
    CHECK(filter_edits(other, "a").value().empty());
    CHECK(filter_edits(other, "b").value().size() == 1);
}

TEST_CASE("the model's name is not a parameter") {
    // Guards: no filter changes what the request was routed by, however its path is spelled.
    Filters filters;
    filters.strip_params = {"model", "model.x", R"(mode\l)", ":model"};
    filters.set_params = {{"model", "1"}, {R"(\model)", "1"}, {"model.0", "1"}};
    filters.set_params_by_id = {{"a", {{"model", "1"}}}};
    CHECK(filter_edits(filters, "a").value().empty());
    filters.set_params.push_back({"models", "1"});
    filters.set_params.push_back({"x.model", "1"});
    CHECK(filter_edits(filters, "a").value().size() == 2);
}

TEST_CASE("a path of several places is left out of settings and an error for what is stripped") {
    // Guards: what was to be removed never passes as if it had been.
    Filters filters;
    filters.set_params = {{"a.#.b", "1"}, {"x", "1"}};
    CHECK(filter_edits(filters, "a").value().size() == 1);
    filters.strip_params = {"a.*"};
    const auto refused = filter_edits(filters, "a");
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().blame == Blame::internal);
    CHECK(refused.error().detail.starts_with("error stripping parameter a.* from request"));
}
