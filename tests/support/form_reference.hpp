#pragma once
// What a multipart form holds, read a second way: all of it in memory, its boundaries searched for.
// The reference that MultipartModel is held against; slow and simple on purpose. For unit tests and
// fuzz targets.

#include "proxy/http/fields.hpp"
#include "proxy/http/http_chars.hpp"
#include "proxy/http/multipart_field.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace corral::http::reference {

/// A part, by its bytes in the form.
struct FormPart {
    std::pair<std::size_t, std::size_t> head, content;
    bool is_model = false;
};

/// The parameters of a Content-Disposition, as [name, value]; nullopt when they are malformed.
inline std::optional<std::vector<std::pair<std::string, std::string>>> disposition_parameters(
    std::string text) {
    std::vector<std::pair<std::string, std::string>> out;
    while (true) {
        text.erase(0, text.find_first_not_of(" \t"));
        if (text.empty() || text == ";") {
            return out;
        }
        const auto name_at = text[0] == ';' ? text.find_first_not_of(" \t", 1) : text.npos;
        const auto equals = text.find('=');
        if (name_at == text.npos || equals == text.npos || equals < name_at ||
            !chars::is_token(text.substr(name_at, equals - name_at))) {
            return std::nullopt;
        }
        auto& [name, value] = out.emplace_back(text.substr(name_at, equals - name_at), "");
        auto at = equals + 1;
        if (at == text.size() || text[at] != '"') {
            value = text.substr(at, text.find_first_of("; \t", at) - at);
            text.erase(0, at + value.size());
            continue;
        }
        for (++at; at < text.size() && text[at] != '"'; ++at) {
            at += text[at] == '\\' && at + 1 < text.size() ? 1 : 0;
            value += text[at];
        }
        if (at == text.size()) {
            return std::nullopt;
        }
        text.erase(0, at + 1);
    }
}

/// Whether a disposition is that of the field "model"; nullopt when it is malformed.
inline std::optional<bool> is_model_field(std::string_view disposition) {
    const auto type = disposition.substr(0, disposition.find(';'));
    if (!equals_no_case(chars::trim(type), "form-data")) {
        return false;
    }
    const auto parameters = disposition_parameters(std::string(disposition.substr(type.size())));
    if (!parameters) {
        return std::nullopt;
    }
    std::size_t names = 0;
    bool is_model = false;
    bool is_file = false;
    for (const auto& [name, value] : *parameters) {
        if (equals_no_case(name, "name")) {
            is_model = value == "model";
            ++names;
        }
        is_file |= equals_no_case(name, "filename") || equals_no_case(name, "filename*");
    }
    return names > 1 ? std::nullopt : std::optional(is_model && !is_file);
}

/// The lines of a part's head from `at` on, which is moved behind the empty one; nullopt when they
/// are malformed. Else whether the part is the model.
inline std::optional<bool> take_part_head(std::string_view text, std::size_t& at) {
    std::optional<std::string> disposition;
    const auto begin = at;
    for (std::size_t lines = 0;; ++lines) {
        const auto end = text.find("\r\n", at);
        const auto line = text.substr(at, end == text.npos ? 0 : end - at);
        if (end == text.npos || text.substr(begin, end + 1 - begin - lines).size() >
                                    MultipartModel::part_head_bytes_max) {
            return std::nullopt;
        }
        at = end + 2;
        if (line.empty()) {
            return is_model_field(disposition.value_or(""));
        }
        const auto colon = line.find(':');
        const auto value = chars::trim(line.substr(colon == line.npos ? 0 : colon + 1));
        const bool is_disposition = equals_no_case(line.substr(0, colon), "content-disposition");
        if (colon == line.npos || !chars::is_token(line.substr(0, colon)) ||
            !chars::all_of(value, chars::field_value) || (is_disposition && disposition)) {
            return std::nullopt;
        }
        if (is_disposition) {
            disposition = value;
        }
    }
}

/// The parts of a form; nullopt when it is to be refused.
inline std::optional<std::vector<FormPart>> form_parts(std::string_view form,
                                                       std::string_view boundary) {
    const std::string delimiter = "\r\n--" + std::string(boundary);
    const std::string text = "\r\n" + std::string(form);  // a boundary can be its first line
    std::vector<FormPart> out;
    bool has_model = false;
    for (auto at = text.find(delimiter); at != text.npos; at = text.find(delimiter, at)) {
        at += delimiter.size();
        if (text.compare(at, 2, "--") == 0) {
            return out;
        }
        const auto line_end = text.find_first_not_of(" \t", at);
        if (line_end == text.npos || text.compare(line_end, 2, "\r\n") != 0 ||
            line_end - at > 255 || out.size() == MultipartModel::parts_max) {
            return std::nullopt;
        }
        FormPart part;
        at = part.head.first = line_end + 2;
        const auto is_model = take_part_head(text, at);
        const auto content_end = text.find(delimiter, at - 2);
        if (!is_model || content_end == text.npos || (*is_model && has_model)) {
            return std::nullopt;
        }
        part.is_model = *is_model;
        part.head = {part.head.first - 2, at - 2};
        part.content = {at - 2, std::max(at, content_end) - 2};
        const auto bytes = part.content.second - part.content.first;
        if (part.is_model && bytes > ModelField::model_bytes_max) {
            return std::nullopt;
        }
        has_model = has_model || part.is_model;
        out.push_back(part);
        at = content_end;
    }
    return std::nullopt;
}

}  // namespace corral::http::reference
