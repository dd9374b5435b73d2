#include "proxy/http/answer_stream.hpp"

#include "proxy/http/chunked.hpp"
#include "proxy/http/header_edit.hpp"
#include "proxy/http/relay.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <array>
#include <string_view>
#include <vector>

namespace corral::http {
namespace {

using namespace asio::experimental::awaitable_operators;

Result<std::string> head_of_stream(const Answer& answer, const RequestHead& request,
                                   AnswerStamp stamp, bool keep_alive) {
    std::vector<Field> set;
    for (const auto& [name, value] : answer.fields) {
        set.push_back(Field{name, value});
    }
    ResponseEdit edit;
    edit.framing = stream_framing(request);
    edit.keep_alive = keep_alive && edit.framing.kind != BodyKind::until_close;
    edit.client_minor_version = request.minor_version;
    edit.stamp = stamp;
    edit.set = set;
    return serialize_answer_head(answer.status, answer.content_type, 0, edit);
}

/// False: the client has gone, or takes nothing any more.
asio::awaitable<bool> send_part(Wire& client, std::string_view part, bool chunked,
                                Duration write_timeout) {
    const ChunkPrefix prefix(part.size());
    const std::string_view before = chunked ? prefix.view() : std::string_view();
    const std::string_view behind = chunked ? chunk_suffix : std::string_view();
    const std::array<asio::const_buffer, 3> buffers{asio::buffer(before), asio::buffer(part),
                                                    asio::buffer(behind)};
    client.set_write_deadline(Clock::now() + write_timeout);
    const auto unwritten = co_await client.write(buffers);
    client.set_write_deadline(TimePoint::max());
    co_return !unwritten;
}

}  // namespace

asio::awaitable<StreamedAnswer> write_stream(Wire& client, const Answer& answer,
                                             const RequestHead& request, AnswerStamp stamp,
                                             bool keep_alive, Duration write_timeout) {
    StreamedAnswer out;
    const auto head = head_of_stream(answer, request, stamp, keep_alive);
    if (!head) {
        co_return out;
    }
    const bool chunked = stream_framing(request).kind == BodyKind::chunked;
    client.set_deadline(TimePoint::max());
    const std::string_view head_text = *head;
    bool sent = co_await send_part(client, head_text, false, write_timeout);
    while (sent && request.method != "HEAD") {
        const auto first = co_await (answer.source->next() || client.wait_gone());
        if (first.index() == 1) {
            co_return out;
        }
        const std::string& part = std::get<0>(first);
        if (part.empty()) {
            break;
        }
        sent = co_await send_part(client, part, chunked, write_timeout);
        out.bytes += sent ? part.size() : 0;
    }
    if (sent && chunked && request.method != "HEAD") {
        sent = co_await send_part(client, last_chunk, false, write_timeout);
    }
    out.complete = sent;
    co_return out;
}

}  // namespace corral::http
