#include "proxy/http/outgoing.hpp"

#include <cassert>

namespace corral::http {

std::span<asio::const_buffer> Outgoing::gather(std::span<const Piece> pieces, bool end) {
    begin();
    for (const Piece& piece : pieces) {
        add_piece(piece);
    }
    if (end && chunked_) {
        add(last_chunk);
    }
    return buffers_;
}

std::span<asio::const_buffer> Outgoing::gather(std::string_view held, bool end) {
    const Piece piece{held, {}};
    return gather(std::span(&piece, held.empty() ? 0 : 1), end);
}

void Outgoing::begin() {
    buffers_.clear();
    prefixes_.clear();
    if (!head_given_) {
        head_given_ = true;
        if (!head_.empty()) {
            add(head_);
        }
    }
}

void Outgoing::add(std::string_view bytes) {
    if (!buffers_.empty()) {
        asio::const_buffer& last = buffers_.back();
        if (static_cast<const char*>(last.data()) + last.size() == bytes.data()) {
            last = {last.data(), last.size() + bytes.size()};
            return;
        }
    }
    buffers_.emplace_back(bytes.data(), bytes.size());
}

void Outgoing::add_piece(const Piece& piece) {
    if (!chunked_) {
        add(piece.payload);
    } else if (!piece.chunk.empty()) {
        add(piece.chunk);
    } else {
        prefixes_.reserve(BodyReader::unframed_max);  // views into them must stay
        assert(prefixes_.size() < BodyReader::unframed_max);
        prefixes_.emplace_back(piece.payload.size());
        add(prefixes_.back().view());
        add(piece.payload);
        add(chunk_suffix);
    }
}

}  // namespace corral::http
