#include "proxy/http/body_model.hpp"

#include "proxy/http/json_edit.hpp"

#include <type_traits>

namespace corral::http {
namespace {

bool contains_no_case(std::string_view text, std::string_view part) {
    for (std::size_t at = 0; at + part.size() <= text.size(); ++at) {
        if (equals_no_case(text.substr(at, part.size()), part)) {
            return true;
        }
    }
    return false;
}

}  // namespace

BodyModel::BodyModel(const Fields& fields) {
    const auto type = fields.find("content-type").value_or("");
    if (contains_no_case(type, "application/json")) {
        scanner_.emplace<ModelField>();
    } else if (const auto boundary = multipart_boundary(type)) {
        scanner_.emplace<MultipartModel>(*boundary);
    } else if (contains_no_case(type, "application/x-www-form-urlencoded")) {
        scanner_.emplace<UrlencodedModel>();
    }
}

Verdict BodyModel::feed(std::string_view bytes) {
    return std::visit(
        [&](auto& scanner) {
            if constexpr (std::is_same_v<std::decay_t<decltype(scanner)>, Nothing>) {
                return Verdict::need_more;
            } else {
                return scanner.feed(bytes);
            }
        },
        scanner_);
}

Verdict BodyModel::finish() {
    return std::visit(
        [](auto& scanner) {
            if constexpr (std::is_same_v<std::decay_t<decltype(scanner)>, Nothing>) {
                return Verdict::complete;
            } else {
                return scanner.finish();
            }
        },
        scanner_);
}

Error BodyModel::error() const {
    return std::visit(
        [](const auto& scanner) {
            if constexpr (std::is_same_v<std::decay_t<decltype(scanner)>, Nothing>) {
                return Error(Errc::internal, Blame::internal, "a body that is not scanned failed");
            } else {
                return scanner.error();
            }
        },
        scanner_);
}

bool BodyModel::has_model() const noexcept {
    return std::visit(
        [](const auto& scanner) {
            if constexpr (std::is_same_v<std::decay_t<decltype(scanner)>, Nothing>) {
                return false;
            } else {
                return scanner.has_model();
            }
        },
        scanner_);
}

std::string_view BodyModel::model() const noexcept {
    return std::visit(
        [](const auto& scanner) {
            if constexpr (std::is_same_v<std::decay_t<decltype(scanner)>, Nothing>) {
                return std::string_view();
            } else {
                return scanner.model();
            }
        },
        scanner_);
}

bool BodyModel::is_json() const noexcept {
    return std::holds_alternative<ModelField>(scanner_);
}

bool BodyModel::stream() const noexcept {
    const auto* json = std::get_if<ModelField>(&scanner_);
    return json != nullptr && json->stream();
}

bool BodyModel::replace_model(std::string& body, std::string_view name) const {
    const auto put = [&](std::pair<std::uint64_t, std::uint64_t> span, std::string_view text) {
        body.replace(static_cast<std::size_t>(span.first),
                     static_cast<std::size_t>(span.second - span.first), text);
        return true;
    };
    if (const auto* json = std::get_if<ModelField>(&scanner_)) {
        return put(json->span(), json_quoted(name));
    }
    if (const auto* form = std::get_if<MultipartModel>(&scanner_)) {
        return put(form->span(), name);
    }
    return false;
}

}  // namespace corral::http
