#pragma once
// `GET /logs`, `GET /logs/stream` and `GET /logs/stream/{name}`: what Corral and its models have
// said lately, and what they say from now on. Main loop only.

#include "core/config.hpp"
#include "core/error.hpp"
#include "core/log_book.hpp"
#include "proxy/http/answer.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <memory>
#include <string_view>

namespace corral::api {

/// Everything that is kept of what logToStdout selects, as text.
[[nodiscard]] http::Answer logs_document(const LogBook& book);

/// The tail with this name: empty for what logToStdout selects, `proxy`, `upstream`, or a model's
/// id or alias; a model with one of these two names is shadowed. Error: bad_request.
[[nodiscard]] Result<std::shared_ptr<LogTail>> find_log(LogBook& book, const Config& config,
                                                        std::string_view name);

/// What the tail has, unless `history` is false, and then each line as it comes, without end. A
/// reader that is too slow is told how many bytes it missed.
[[nodiscard]] http::Answer log_stream(const boost::asio::any_io_executor& executor,
                                      std::shared_ptr<LogTail> tail, bool history);

/// True when the query asks for no history: `?no-history`, with a value or without.
[[nodiscard]] bool skips_history(std::string_view query) noexcept;

}  // namespace corral::api
