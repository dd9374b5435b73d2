#pragma once
// The body of one message as it comes in, without its framing: Content-Length, chunked or until the
// connection ends. The same for requests and responses. Reads nothing by itself: the caller fills
// the wire, so that waiting, deadlines and cancellation stay in one place. Main loop only.

#include "core/config.hpp"
#include "core/error.hpp"
#include "proxy/http/chunked.hpp"
#include "proxy/http/head_rules.hpp"
#include "proxy/http/wire.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace corral::http {

/// Some payload, and its chunk with framing where the whole of it came: to be passed on as it is.
struct Piece {
    std::string_view payload;  ///< never empty
    std::string_view chunk;    ///< empty: the payload needs framing of our own, if any
};

class BodyReader {
public:
    /// Borrows the wire. `blame` is who is at fault when the framing is broken.
    BodyReader(Wire& wire, const Framing& framing, Blame blame);

    /// Decodes what was already read: appends pieces of payload, at most `pieces_max` a call and
    /// `unframed_max` of them without their chunk. They are views into wire.in() and hold until the
    /// wire is filled again. Errors: bad_request (client) or upstream_malformed.
    [[nodiscard]] Result<void> take(std::vector<Piece>& pieces);
    /// The peer has ended its side: fine for a body that lasts until then, else an error
    /// (bad_request or upstream_closed).
    [[nodiscard]] Result<void> end_of_input();
    /// True when the whole body was taken.
    [[nodiscard]] bool done() const noexcept { return done_; }
    /// True when nothing more can be taken before the wire is filled.
    [[nodiscard]] bool starved() const noexcept { return !done_ && wire_.in().empty(); }
    /// Payload bytes taken so far.
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

    static constexpr std::size_t pieces_max = 1024;
    static constexpr std::size_t unframed_max = 16;

private:
    Result<void> take_chunks(std::vector<Piece>& pieces);

    Wire& wire_;
    Framing framing_;
    Blame blame_;
    ChunkDecoder chunks_;
    std::uint64_t bytes_ = 0;
    bool done_ = false;
};

}  // namespace corral::http
