#include "proxy/api/request_id.hpp"

#include "proxy/http/http_chars.hpp"

#include <random>

namespace corral::api {
namespace {

constexpr std::size_t id_bytes_max = 128;
constexpr std::string_view name = "x-request-id";

/// Spreads a counter over all 64 bits, each value from one other only (splitmix64).
std::uint64_t spread(std::uint64_t x) noexcept {
    x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27U)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31U);
}

}  // namespace

RequestIds::RequestIds() : next_(0) {
    std::random_device device;
    next_ = (std::uint64_t{device()} << 32U) | device();
}

RequestIds::Text RequestIds::make() noexcept {
    constexpr std::string_view hex = "0123456789abcdef";
    constexpr std::uint64_t step = 0x9e3779b97f4a7c15ULL;
    next_ += step;
    std::uint64_t value = spread(next_);
    Text out{};
    for (char& digit : out) {
        digit = hex[value >> 60U];
        value <<= 4U;
    }
    return out;
}

std::optional<std::string_view> sane_request_id(const http::Fields& fields) noexcept {
    static constexpr auto allowed = http::chars::table_of("!#$%&'*+-.^_`|~/:=@");
    const auto id = fields.find(name);
    const bool sane = id && !id->empty() && id->size() <= id_bytes_max &&
                      http::chars::all_of(*id, allowed) && fields.count(name) == 1;
    return sane ? id : std::nullopt;
}

}  // namespace corral::api
