// What an exchange changes in the request's body before it leaves.
#include "proxy/http/exchange.hpp"
#include "proxy/http/filter_edits.hpp"
#include "proxy/http/json_edit.hpp"

#include <utility>
#include <vector>

namespace corral::http {

void Exchange::set_names(std::string_view asked_for, std::string_view sent_name) noexcept {
    asked_for_ = asked_for;
    sent_name_ = sent_name;
}

void Exchange::rename_model(std::string_view name) {
    if (name.empty() || !scanning_ || !scanner_->has_model() || scanner_->model() == name) {
        return;
    }
    const auto before = held_.size();
    if (scanner_->replace_model(held_, name) && leaves_.kind == BodyKind::content_length) {
        leaves_.length += held_.size() - before;  // may wrap downwards, like the difference
    }
}

asio::awaitable<Result<void>> Exchange::change_body(const Filters& filters, std::string_view name) {
    if (!scanning_ || !scanner_->is_json() || !scanner_->has_model()) {
        rename_model(name);
        co_return Result<void>();
    }
    const std::string_view asked_for = asked_for_.empty() ? scanner_->model() : asked_for_;
    auto edits = filter_edits(filters, asked_for);
    if (!edits) {
        co_return edits.error();
    }
    if (edits->empty()) {
        rename_model(name);
        co_return Result<void>();
    }
    while (!body_.done()) {
        auto read = co_await next_pieces();
        if (read) {
            read = scan_pieces();
        }
        if (read) {
            read = hold_pieces(Hold::for_filters);
        }
        if (!read) {
            co_return read;
        }
    }
    rename_model(name);
    co_return edit_held(*edits);
}

Result<void> Exchange::edit_held(std::span<const JsonEdit> edits) {
    auto edited = edit_json(held_, edits);
    if (!edited) {
        Error error = edited.error();
        error.detail = "the body cannot be changed as the model's filters ask: " + error.detail;
        return error;
    }
    release_held();
    held_ = std::move(*edited);
    held_counted_ = held_.size();
    context_.bytes_held += held_counted_;
    leaves_ = {BodyKind::content_length, held_.size()};
    return {};
}

}  // namespace corral::http
