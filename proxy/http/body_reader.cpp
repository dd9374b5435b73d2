#include "proxy/http/body_reader.hpp"

#include <algorithm>
#include <string>

namespace corral::http {

BodyReader::BodyReader(Wire& wire, const Framing& framing, Blame blame)
    : wire_(wire), framing_(framing), blame_(blame) {
    done_ = framing.kind == BodyKind::none ||
            (framing.kind == BodyKind::content_length && framing.length == 0);
}

Result<void> BodyReader::take(std::vector<Piece>& pieces) {
    if (done_ || wire_.in().empty()) {
        return {};
    }
    if (framing_.kind == BodyKind::chunked) {
        return take_chunks(pieces);
    }
    std::string_view piece = wire_.in().data();
    if (framing_.kind == BodyKind::content_length) {
        piece = piece.substr(0, framing_.length - bytes_);
    }
    wire_.in().consume(piece.size());
    bytes_ += piece.size();
    done_ = framing_.kind == BodyKind::content_length && bytes_ == framing_.length;
    pieces.push_back(Piece{piece, {}});
    return {};
}

Result<void> BodyReader::take_chunks(std::vector<Piece>& pieces) {
    std::size_t taken = 0;
    std::size_t unframed = 0;
    while (taken < pieces_max && unframed < unframed_max && !wire_.in().empty()) {
        const auto step = chunks_.feed(wire_.in().data());
        wire_.in().consume(step.consumed);
        if (step.state == ChunkDecoder::State::error) {
            return Error(blame_ == Blame::client ? Errc::bad_request : Errc::upstream_malformed,
                         blame_, "broken chunked body: " + std::string(chunks_.reason()));
        }
        if (!step.payload.empty()) {
            pieces.push_back(Piece{step.payload, step.chunk});
            bytes_ += step.payload.size();
            ++taken;
            unframed += step.chunk.empty() ? 1 : 0;
        }
        if (step.state == ChunkDecoder::State::done) {
            done_ = true;
            break;
        }
    }
    return {};
}

Result<void> BodyReader::end_of_input() {
    if (framing_.kind == BodyKind::until_close) {
        done_ = true;
        return {};
    }
    return Error(blame_ == Blame::client ? Errc::bad_request : Errc::upstream_closed, blame_,
                 "the connection ended in the middle of the body, after " + std::to_string(bytes_) +
                     " bytes");
}

}  // namespace corral::http
