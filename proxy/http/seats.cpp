#include "proxy/http/seats.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/system/error_code.hpp>

#include <unordered_map>
#include <utility>

namespace corral::http {
namespace {

constexpr std::size_t no_limit = 0;

/// What an address is counted as, and whether it is this machine's.
struct CountedPeer {
    std::string name;
    bool local = false;
};

CountedPeer counted_as(std::string_view peer) {
    boost::system::error_code ec;
    const auto address = boost::asio::ip::make_address(std::string(peer), ec);
    if (ec) {
        return {std::string(), true};  // a Unix socket has no address to count by
    }
    if (!address.is_v6() || address.is_loopback()) {
        return {std::string(peer), address.is_loopback()};
    }
    const auto bytes = address.to_v6().to_bytes();
    return {std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size() / 2), false};
}

std::size_t most_of(const CountedPeer& peer, const Limits& limits) {
    if (peer.name.empty()) {
        return no_limit;
    }
    return limits.connections_per_peer.value_or(peer.local ? no_limit : Seats::usual_per_peer);
}

}  // namespace

struct Seats::Book {
    std::size_t taken = 0;
    std::size_t standing = 0;
    std::unordered_map<std::string, std::size_t> by_peer;
};

Seats::Seats() : book_(std::make_shared<Book>()) {}

Seats::Seat Seats::take(std::string_view peer, const Limits& limits) {
    CountedPeer counted = counted_as(peer);
    const std::size_t most = most_of(counted, limits);
    Seat out;
    out.kind_ = Kind::seat;
    if (book_->taken >= limits.connections) {
        out.kind_ = Kind::standing;
    } else if (most != no_limit) {
        std::size_t& here = book_->by_peer[counted.name];
        if (here >= most) {
            out.kind_ = Kind::standing_peer;
        } else {
            ++here;
            out.peer_ = std::move(counted.name);
        }
    }
    if (out.kind_ == Kind::seat) {
        ++book_->taken;
    } else if (book_->standing < standing_max) {
        ++book_->standing;
    } else {
        out.kind_ = Kind::none;
        return out;
    }
    out.book_ = book_;
    return out;
}

std::size_t Seats::taken() const noexcept {
    return book_->taken;
}

Seats::Seat::Seat(Seat&& other) noexcept
    : book_(std::move(other.book_)),
      peer_(std::exchange(other.peer_, {})),
      kind_(std::exchange(other.kind_, Kind::none)) {}

Seats::Seat& Seats::Seat::operator=(Seat&& other) noexcept {
    if (this != &other) {
        give_back();
        book_ = std::move(other.book_);
        peer_ = std::exchange(other.peer_, {});
        kind_ = std::exchange(other.kind_, Kind::none);
    }
    return *this;
}

void Seats::Seat::give_back() noexcept {
    if (!book_) {
        return;
    }
    --(kind_ == Kind::seat ? book_->taken : book_->standing);
    if (const auto at = book_->by_peer.find(peer_); !peer_.empty() && at != book_->by_peer.end()) {
        if (--at->second == 0) {
            book_->by_peer.erase(at);
        }
    }
    book_.reset();
}

}  // namespace corral::http
