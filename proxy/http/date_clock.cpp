#include "proxy/http/date_clock.hpp"

#include <algorithm>

namespace corral::http {
namespace {

constexpr std::time_t last_second = 253'402'300'799;  ///< of the year 9999
constexpr std::string_view day_names = "SunMonTueWedThuFriSat";
constexpr std::string_view month_names = "JanFebMarAprMayJunJulAugSepOctNovDec";

/// Writes a date piece by piece.
class DateWriter {
public:
    explicit DateWriter(char* at) noexcept : at_(at) {}

    DateWriter& text(std::string_view text) noexcept {
        at_ = std::copy(text.begin(), text.end(), at_);
        return *this;
    }
    DateWriter& two_digits(int number) noexcept {
        *at_++ = static_cast<char>('0' + number / 10 % 10);
        *at_++ = static_cast<char>('0' + number % 10);
        return *this;
    }
    /// One of names of three letters.
    DateWriter& name(std::string_view names, int which) noexcept {
        return text(names.substr(static_cast<std::size_t>(which) * 3, 3));
    }

private:
    char* at_;
};

}  // namespace

std::string_view DateClock::now() const noexcept {
    return at(std::time(nullptr));
}

std::string_view DateClock::at(std::time_t second) const noexcept {
    second = std::clamp<std::time_t>(second, 0, last_second);
    if (second != written_) {
        std::tm parts{};
        ::gmtime_r(&second, &parts);
        const int year = parts.tm_year + 1900;
        DateWriter out(text_.data());
        out.name(day_names, parts.tm_wday).text(", ").two_digits(parts.tm_mday).text(" ");
        out.name(month_names, parts.tm_mon).text(" ").two_digits(year / 100).two_digits(year);
        out.text(" ").two_digits(parts.tm_hour).text(":").two_digits(parts.tm_min).text(":");
        out.two_digits(parts.tm_sec).text(" GMT");
        written_ = second;
    }
    return {text_.data(), text_.size()};
}

}  // namespace corral::http
