#include "core/log_tail.hpp"

#include <algorithm>
#include <utility>

namespace corral {
namespace {

/// How much is dropped at once when the tail is full, so that dropping is rare.
constexpr std::size_t tail_slack_bytes = LogTail::bytes_max / 8;

}  // namespace

void LogTail::append(std::string_view line) {
    line = line.substr(0, bytes_max - 1);
    const std::size_t added = line.size() + 1;
    if (text_.size() + added > bytes_max) {
        const std::size_t too_many = text_.size() + added - bytes_max;
        const std::size_t wanted = std::min(text_.size(), too_many + tail_slack_bytes);
        text_.erase(0, wanted == 0 ? 0 : text_.find('\n', wanted - 1) + 1);
    }
    text_ += line;
    text_ += '\n';
    end_ += added;
    for (const auto& call : *calls_) {
        call();
    }
}

std::string_view LogTail::from(std::uint64_t position) const noexcept {
    const std::uint64_t start = std::clamp(position, begin(), end_);
    return std::string_view(text_).substr(static_cast<std::size_t>(start - begin()));
}

LogTail::Follower LogTail::follow(std::function<void()> on_line) {
    Follower out;
    out.place_ = calls_->insert(calls_->end(), std::move(on_line));
    out.calls_ = calls_;
    return out;
}

LogTail::Follower::~Follower() {
    if (const auto calls = calls_.lock()) {
        calls->erase(place_);
    }
}

}  // namespace corral
