// What is told of a model's transitions: to the yard as news, to people in the log, once each.
#include "core/log.hpp"
#include "supervisor/fleet/failure_text.hpp"
#include "supervisor/fleet/model_process.hpp"
#include "supervisor/fleet/model_run.hpp"

#include <utility>

namespace corral {

void ModelProcess::announce(const Announce& news) {
    if (news.to != ProcessState::starting && run_) {
        run_->probing = false;
        run_->over.notify_all();
    }
    if (news.to == ProcessState::stopping) {
        stop_began_ = Clock::now();
    }
    ProcessNews out{id_, generation_, news.to, error_of(news), {}};
    if (is_at_rest(news.to) && news.cause != Cause::spawn_failed && !is_at_rest(news.from)) {
        out.ending = stop_reason_
                         ? "it was stopped (" + std::string(stop_reason_name(*stop_reason_)) + ")"
                         : ending_text(last_status_, last_output_);
    }
    if (out.error && news.from == ProcessState::stopping) {
        out.error->detail = last_failure_;  // told when it was told to stop; this is only the end
    } else if (out.error) {
        last_failure_ = out.error->detail;
    } else if (news.to == ProcessState::ready || news.to == ProcessState::stopped) {
        last_failure_.clear();
    }
    log_transition(news);
    on_news_(out);
}

std::optional<Error> ModelProcess::error_of(const Announce& news) const {
    switch (news.cause) {
        case Cause::spawn_failed:
            return Error(Errc::start_failed, Blame::upstream,
                         not_launched_text(id_, launch_error_));
        case Cause::died_early:
            return Error(Errc::start_failed, Blame::upstream,
                         died_early_text(id_, last_status_, since(started_), last_output_));
        case Cause::not_ready: {
            const std::string path = model_->check_endpoint;
            const std::string asked =
                path == "none" ? "its address"
                               : "http://" + endpoint_->authority() + endpoint_->base_path + path;
            return Error(Errc::start_timeout, Blame::upstream,
                         not_ready_text(id_, since(started_), asked,
                                        run_ ? output_of(*run_) : last_output_));
        }
        case Cause::crashed:
            return Error(Errc::upstream_closed, Blame::upstream,
                         "model \"" + log::clean(id_.str()) +
                             "\" ended by itself: " + ending_text(last_status_, last_output_));
        case Cause::wanted:
        case Cause::healthy:
        case Cause::told_to_stop:
        case Cause::closing:
            break;
    }
    return std::nullopt;
}

void ModelProcess::log_transition(const Announce& news) const {
    const std::string model = log::clean(id_.str());
    const std::string_view state = process_state_name(news.to);
    const std::string_view cause = news.cause == Cause::told_to_stop && stop_reason_
                                       ? stop_reason_name(*stop_reason_)
                                       : cause_name(news.cause);
    const bool stopped = news.from == ProcessState::stopping;
    const auto ms = since(stopped ? stop_began_ : started_).count();
    switch (news.cause) {
        case Cause::spawn_failed:
            spdlog::warn("model={} state={} cause={} why=\"{}\"", model, state, cause,
                         log::clean(launch_error_));
            return;
        case Cause::died_early:
        case Cause::crashed: {
            const auto line = last_output_.rfind('\n');
            spdlog::warn("model={} pid={} state={} cause={} exit=\"{}\" duration_ms={} last=\"{}\"",
                         model, last_pid_, state, cause, last_status_.describe(), ms,
                         log::clean(line == std::string::npos ? last_output_
                                                              : last_output_.substr(line + 1)));
            return;
        }
        case Cause::wanted:
            return;  // logged by spawn(), which knows the pid
        case Cause::not_ready:
            spdlog::warn("model={} pid={} state={} cause={} duration_ms={}", model, last_pid_,
                         state, cause, ms);
            return;
        case Cause::healthy:
        case Cause::told_to_stop:
        case Cause::closing:
            spdlog::info("model={} pid={} state={} cause={} duration_ms={}", model, last_pid_,
                         state, cause, ms);
            return;
    }
}
}  // namespace corral
