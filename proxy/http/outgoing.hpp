#pragma once
// What one write of a message is made of: its head, pieces of its body with the framing that the
// receiver needs, its end. Gathers views; copies nothing but size lines. Any thread; no I/O.

#include "proxy/http/body_reader.hpp"
#include "proxy/http/chunked.hpp"

#include <boost/asio/buffer.hpp>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace corral::http {

class Outgoing {
public:
    /// `chunked` says how the body leaves. The head goes with the first pieces; empty: it
    /// was sent already.
    Outgoing(bool chunked, std::string head) : head_(std::move(head)), chunked_(chunked) {}

    /// What is to be sent now, in order; empty when that is nothing. Valid until the next call, as
    /// long as the pieces' bytes are. `end` says that the body ends with them. Whole chunks leave
    /// as they came, neighbours in one buffer. Requires: at most BodyReader::unframed_max pieces
    /// without a chunk.
    [[nodiscard]] std::span<asio::const_buffer> gather(std::span<const Piece> pieces, bool end);

    /// The same for bytes of the body that were held: one chunk, where the body leaves in chunks.
    [[nodiscard]] std::span<asio::const_buffer> gather(std::string_view held, bool end);
    /// What was gathered has been sent: the head's text is needed no more.
    void has_left() noexcept {
        if (!head_.empty()) {
            std::string().swap(head_);
        }
    }

private:
    void begin();
    void add(std::string_view bytes);
    void add_piece(const Piece& piece);

    std::string head_;
    bool chunked_;
    bool head_given_ = false;
    std::vector<asio::const_buffer> buffers_;
    std::vector<ChunkPrefix> prefixes_;
};

}  // namespace corral::http
