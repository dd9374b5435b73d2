#include "proxy/api/logs.hpp"

#include "proxy/http/answer_stream.hpp"
#include "proxy/http/error_body.hpp"
#include "supervisor/fleet/wakeup.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

namespace corral::api {
namespace {

/// One write of a stream has no more than this.
constexpr std::size_t log_part_bytes_max = 32 * 1024;

http::Answer plain_text() {
    http::Answer out;
    out.content_type = "text/plain; charset=utf-8";
    out.fields.emplace_back("X-Content-Type-Options", "nosniff");
    out.fields.emplace_back("Cache-Control", "no-cache");
    return out;
}

class LogSource final : public http::AnswerSource {
public:
    LogSource(const boost::asio::any_io_executor& executor, std::shared_ptr<LogTail> tail,
              bool history)
        : tail_(std::move(tail)),
          position_(history ? tail_->begin() : tail_->end()),
          line_came_(executor),
          follower_(tail_->follow([this] { line_came_.notify_all(); })) {}

    http::asio::awaitable<std::string> next() override {
        while (tail_->end() == position_) {
            co_await line_came_.wait(TimePoint::max());
        }
        co_return take();
    }

private:
    std::string take() {
        std::string out;
        if (position_ < tail_->begin()) {
            out = fmt::format("— {} bytes dropped —\n", tail_->begin() - position_);
            position_ = tail_->begin();
        }
        const std::string_view part = tail_->from(position_).substr(0, log_part_bytes_max);
        position_ += part.size();
        return out.append(part);
    }

    std::shared_ptr<LogTail> tail_;
    std::uint64_t position_;
    Wakeup line_came_;
    LogTail::Follower follower_;
};

}  // namespace

http::Answer logs_document(const LogBook& book) {
    http::Answer out = plain_text();
    out.body = book.shown()->from(0);
    return out;
}

Result<std::shared_ptr<LogTail>> find_log(LogBook& book, const Config& config,
                                          std::string_view name) {
    if (name.empty()) {
        return book.shown();
    }
    if (name == "proxy") {
        return book.own();
    }
    if (name == "upstream") {
        return book.output();
    }
    if (const ModelConfig* model = config.find(name)) {
        return book.output_of(model->id.str());
    }
    return Error(Errc::bad_request, Blame::client,
                 "invalid logger. Use 'proxy', 'upstream' or a model's ID, not \"" +
                     http::safe_text(name, 256) + "\"");
}

http::Answer log_stream(const boost::asio::any_io_executor& executor, std::shared_ptr<LogTail> tail,
                        bool history) {
    http::Answer out = plain_text();
    out.fields.emplace_back("X-Accel-Buffering", "no");
    out.source = std::make_shared<LogSource>(executor, std::move(tail), history);
    return out;
}

bool skips_history(std::string_view query) noexcept {
    constexpr std::string_view name = "no-history";
    while (!query.empty()) {
        const std::string_view pair = query.substr(0, query.find('&'));
        if (pair == name || (pair.starts_with(name) && pair[name.size()] == '=')) {
            return true;
        }
        query.remove_prefix(std::min(query.size(), pair.size() + 1));
    }
    return false;
}

}  // namespace corral::api
