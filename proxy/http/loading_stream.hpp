#pragma once
// What a client that streams is told while its model loads, as the text of an event stream: events
// of the API that it speaks, so that its library takes every one of them and none gets into the
// answer that follows in the same stream. Pure; any thread. docs/configuration.md has the table.

#include "core/error.hpp"
#include "core/time.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace corral::http {

/// The API whose events a stream is made of. `other` has none for this: comments only.
enum class StreamApi : std::uint8_t { chat, completions, responses, messages, other };

/// By the target that the upstream gets, with /v1 or without.
[[nodiscard]] StreamApi stream_api(std::string_view target) noexcept;

/// How far the wait has come.
struct LoadingPoint {
    enum class Phase : std::uint8_t {
        queued,   ///< others have to end first
        loading,  ///< its process has been started
        busy,     ///< it runs, and has as many requests as it takes
    };
    Phase phase = Phase::loading;
    std::uint32_t ahead = 0;  ///< requests for other models that came earlier; of queued only
    Duration waited{0};
};

/// One stream, up to where the model's own events begin. Each text is to be sent at once.
class LoadingStream {
public:
    /// `model` is the name that the client asked for, `unique` makes the ids of its events;
    /// `created` is the time in seconds.
    LoadingStream(StreamApi api, std::string_view unique, std::int64_t created, std::string model);

    /// Events that say how it stands; the first call opens the stream.
    [[nodiscard]] std::string progress(const LoadingPoint& point);
    /// What comes before the model's events; empty where nothing has to.
    [[nodiscard]] std::string ready(Duration waited);
    /// A comment, which no library shows to anybody.
    [[nodiscard]] std::string keep_alive(Duration waited) const;
    /// The last events of a stream that failed. `in_answer`: some of the model's bytes were sent,
    /// perhaps not all of an event.
    [[nodiscard]] std::string failure(const Error& error, bool in_answer);

private:
    [[nodiscard]] std::string event(const LoadingPoint& point);
    [[nodiscard]] std::string chat_chunk(std::string_view reasoning) const;
    [[nodiscard]] std::string completions_chunk() const;
    [[nodiscard]] std::string response_event(std::string_view type, std::string_view status,
                                             std::string_view failure = {});

    StreamApi api_;
    std::string id_;
    std::int64_t created_;
    std::string model_;
    std::string shown_name_;              ///< model_, fit for a line of text
    std::optional<LoadingPoint> before_;  ///< what was told last
    std::uint32_t sequence_ = 0;          ///< of the events of a response
};

/// An answer of the model's server that cannot join an event stream, as an Error: in the server's
/// own words if its body (which may be cut) has some. It answers with the server's status, or with
/// 502 if that was no error.
[[nodiscard]] Error unfit_answer(unsigned status, std::string_view content_type,
                                 std::string_view body);

}  // namespace corral::http
