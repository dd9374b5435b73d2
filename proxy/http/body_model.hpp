#pragma once
// Which model does this body name? One scanner for each kind of body that can say so, chosen by the
// Content-Type as llama-swap does. Pure; any thread.

#include "proxy/http/fields.hpp"
#include "proxy/http/model_field.hpp"
#include "proxy/http/multipart_field.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace corral::http {

class BodyModel {
public:
    /// application/json, multipart/form-data, urlencoded forms; for any other type, or none, the
    /// body cannot name a model.
    explicit BodyModel(const Fields& fields);

    /// Scans the next piece; malformed is final (error()).
    [[nodiscard]] Verdict feed(std::string_view bytes);
    [[nodiscard]] Verdict finish();
    [[nodiscard]] Error error() const;

    [[nodiscard]] bool has_model() const noexcept;
    [[nodiscard]] std::string_view model() const noexcept;
    /// True for a JSON body: its query cannot name the model (as llama-swap has it).
    [[nodiscard]] bool is_json() const noexcept;
    /// A JSON body's top-level "stream" is true, as far as it was scanned; the last one counts.
    [[nodiscard]] bool stream() const noexcept;
    /// Puts another name into `body`, whose first bytes are those that were scanned up to the
    /// model's end at least. False when this kind of body cannot be edited (urlencoded).
    [[nodiscard]] bool replace_model(std::string& body, std::string_view name) const;

private:
    struct Nothing {};
    std::variant<Nothing, ModelField, MultipartModel, UrlencodedModel> scanner_;
};

}  // namespace corral::http
