// A chunked body decodes to the same payload wherever it is cut, and a chunk that is passed on as
// it came looks as if we had written it; the first byte of the input says how long the pieces are.

#include "proxy/http/chunked.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

using corral::http::ChunkDecoder;

namespace {

struct Decoded {
    ChunkDecoder::State state = ChunkDecoder::State::need_more;
    std::string payload;
    std::size_t consumed = 0;
    friend bool operator==(const Decoded&, const Decoded&) = default;
};

std::string written(std::string_view payload) {
    using namespace corral::http;
    std::string out(chunk_prefix(payload.size()).view());
    return out.append(payload).append(chunk_suffix);
}

Decoded decode(std::string_view body, std::size_t piece_size) {
    using State = ChunkDecoder::State;
    ChunkDecoder decoder;
    Decoded out;
    while (!body.empty() && out.state != State::done && out.state != State::error) {
        auto piece = body.substr(0, piece_size);
        body.remove_prefix(piece.size());
        do {
            const auto step = decoder.feed(piece);
            if (step.consumed > piece.size()) {
                std::abort();
            }
            out.state = step.state;
            out.payload += step.payload;
            if (!step.chunk.empty() && step.chunk != written(step.payload)) {
                std::abort();
            }
            out.consumed += step.consumed;
            piece.remove_prefix(step.consumed);
        } while (out.state == State::payload && !piece.empty());
        if (out.state == State::need_more && !piece.empty()) {
            std::abort();
        }
    }
    if (out.payload.size() != decoder.payload_bytes() || out.payload.size() > out.consumed) {
        std::abort();
    }
    if (out.state == State::payload) {
        out.state = State::need_more;
    }
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto whole = decode(body, std::string_view::npos);
    if (decode(body, 1) != whole || decode(body, std::size_t{data[0]} + 1) != whole) {
        std::abort();
    }
    return 0;
}
