#pragma once
// Who may connect: how many clients there may be in all and from one address. A client that finds
// no seat may stand for the moment that its 503 takes, and only a few may stand. Pure; one thread.

#include "core/config.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace corral::http {

class Seats {
    struct Book;

public:
    enum class Kind : std::uint8_t {
        seat,           ///< as wanted
        standing,       ///< all seats are taken: time for an answer that says so
        standing_peer,  ///< this address has too many: the same
        none,           ///< not even that
    };

    /// A place as long as it lives.
    class Seat {
    public:
        Seat() = default;
        Seat(Seat&& other) noexcept;
        Seat& operator=(Seat&& other) noexcept;
        Seat(const Seat&) = delete;
        Seat& operator=(const Seat&) = delete;
        ~Seat() { give_back(); }
        [[nodiscard]] Kind kind() const noexcept { return kind_; }

    private:
        friend class Seats;
        void give_back() noexcept;
        std::shared_ptr<Book> book_;
        std::string peer_;  ///< as it is counted; empty: it is not
        Kind kind_ = Kind::none;
    };

    Seats();

    /// `peer` is an address without port; anything else has no limit of its own. IPv6 addresses
    /// count by their network (/64): whoever has one of them has them all.
    [[nodiscard]] Seat take(std::string_view peer, const Limits& limits);
    /// Seats that are taken, without those who stand.
    [[nodiscard]] std::size_t taken() const noexcept;

    /// How many may stand.
    static constexpr std::size_t standing_max = 64;
    /// From one address of another machine, when the config does not say how many.
    static constexpr std::size_t usual_per_peer = 1'000;

private:
    std::shared_ptr<Book> book_;
};

}  // namespace corral::http
