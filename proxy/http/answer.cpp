#include "proxy/http/answer.hpp"

#include <array>

namespace corral::http {
namespace {

constexpr Duration linger_max{1'000};
constexpr std::size_t linger_bytes_max = 1U << 20U;

}  // namespace

Answer answer_of(const Error& error, const RequestHead* request, std::string_view allow) {
    const auto accept =
        request != nullptr ? request->fields.find("accept").value_or("") : std::string_view();
    auto rendered = render_error(error, accept, allow);
    Answer out;
    out.status = rendered.status;
    out.content_type = std::move(rendered.content_type);
    out.body = std::move(rendered.body);
    out.fields = std::move(rendered.fields);
    return out;
}

asio::awaitable<bool> write_answer(Wire& client, const Answer& answer, const RequestHead* request,
                                   AnswerStamp stamp, bool keep_alive, Duration write_timeout) {
    std::vector<Field> set;
    for (const auto& [name, value] : answer.fields) {
        set.push_back(Field{name, value});
    }
    ResponseEdit edit;
    edit.framing.kind = BodyKind::content_length;
    edit.framing.length = answer.body.size();
    edit.keep_alive = keep_alive;
    edit.client_minor_version = request != nullptr ? request->minor_version : 1;
    edit.stamp = stamp;
    edit.set = set;
    const auto head =
        serialize_answer_head(answer.status, answer.content_type, answer.body.size(), edit);
    if (!head) {
        co_return false;
    }
    const bool head_only = request != nullptr && request->method == "HEAD";
    const std::array<asio::const_buffer, 2> buffers{
        asio::buffer(*head), asio::buffer(answer.body.data(), head_only ? 0 : answer.body.size())};
    client.set_deadline(TimePoint::max());
    client.set_write_deadline(Clock::now() + write_timeout);
    const auto ec = co_await client.write(buffers);
    client.set_write_deadline(TimePoint::max());
    if (ec == asio::error::timed_out) {
        client.close(true);  // or the system would keep what was not taken, for minutes
    }
    co_return !ec;
}

asio::awaitable<void> linger_and_close(Wire& client) {
    error_code ec;
    client.end_output();
    client.set_deadline(Clock::now() + linger_max);
    std::size_t dropped = 0;
    while (!ec && dropped < linger_bytes_max) {
        dropped += client.in().data().size();
        client.in().consume(client.in().data().size());
        ec = co_await client.fill();
    }
    client.close();
}

}  // namespace corral::http
