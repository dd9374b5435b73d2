#include "core/error.hpp"

#include <array>
#include <ostream>
#include <stdexcept>

namespace corral {
namespace {

constexpr std::array<std::string_view, 31> names{
    "ok",
    "bad_request",
    "malformed_json",
    "model_missing",
    "model_not_found",
    "not_found",
    "method_not_allowed",
    "misdirected_request",
    "forbidden",
    "unauthorized",
    "body_too_large",
    "head_too_large",
    "unsupported",
    "conflict",
    "concurrency_limit",
    "overloaded",
    "shutting_down",
    "model_unloaded",
    "model_cooling_down",
    "start_failed",
    "start_timeout",
    "upstream_unreachable",
    "upstream_closed",
    "upstream_malformed",
    "timed_out",
    "cancelled",
    "io_error",
    "corrupt",
    "short_input",
    "invalid_config",
    "internal_error",
};
static_assert(names.size() == static_cast<std::size_t>(Errc::internal) + 1);

class Category final : public boost::system::error_category {
public:
    const char* name() const noexcept override { return "corral"; }
    std::string message(int value) const override {
        return std::string(errc_name(static_cast<Errc>(value)));
    }
};

}  // namespace

std::string_view errc_name(Errc code) noexcept {
    const auto index = static_cast<std::size_t>(code);
    return index < names.size() ? names[index] : "unknown";
}

const boost::system::error_category& corral_category() noexcept {
    static const Category category;
    return category;
}

boost::system::error_code make_error_code(Errc code) noexcept {
    return {static_cast<int>(code), corral_category()};
}

std::ostream& operator<<(std::ostream& out, const Error& error) {
    return out << error.code.message() << ": " << error.detail;
}

void throw_exception_from_error(const Error& error, const boost::source_location& where) {
    throw std::runtime_error(error.detail + " (" + error.code.message() + ", " + where.to_string() +
                             ")");
}

}  // namespace corral
