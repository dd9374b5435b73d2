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
    const TimePoint now = Clock::now();
    if (news.to == ProcessState::stopping) {
        stop_began_ = now;
    }
    ProcessNews out;
    out.model = id_;
    out.generation = generation_;
    out.from = news.from;
    out.state = news.to;
    out.cause = news.cause;
    out.reason = stop_reason_;
    out.when = std::chrono::system_clock::now();
    out.lasted = entered_at_ ? since(entered_) : Duration(0);
    out.since_start = since(started_);
    out.pid = last_pid_;
    out.error = error_of(news);
    out.failure = out.error ? out.error->failure : nullptr;
    out.ending = ending_of(news);
    entered_ = now;
    entered_at_ = out.when;
    if (news.to == ProcessState::ready || news.to == ProcessState::stopped) {
        last_failure_.clear();
        failure_.reset();
    }
    log_transition(news);
    if (news.to == ProcessState::ready) {
        was_ready_ = true;
        start_hook(run_, "afterReady", model_->hooks.after_ready);
    }
    on_news_(out);
}

/// How the process ended; empty when there was none, or while there is one.
std::string ModelProcess::ending_of(const Announce& news) const {
    if (!is_at_rest(news.to) || is_at_rest(news.from) || news.cause == Cause::spawn_failed) {
        return {};
    }
    if (stop_reason_) {
        return "it was stopped (" + std::string(stop_reason_name(*stop_reason_)) + ")";
    }
    return ending_text(failure_ ? *failure_
                                : *failure_of({FailedAt::serving, last_status_, last_output_}));
}

/// How it failed, if it did, which is remembered. A start that took too long fails when it is told
/// to stop; its end says the same again.
std::optional<Error> ModelProcess::error_of(const Announce& news) {
    const auto failed = [this](Errc code, std::shared_ptr<const Failure> failure,
                               std::string text) {
        failure_ = std::move(failure);
        last_failure_ = std::move(text);
        return Error(code, Blame::upstream, last_failure_);
    };
    const bool is_over = news.from == ProcessState::stopping;
    const std::string output =
        run_ && (news.cause == Cause::not_ready || news.cause == Cause::stalled) ? output_of(*run_)
                                                                                 : last_output_;
    std::optional<Error> out;
    switch (news.cause) {
        case Cause::spawn_failed: {
            auto failure = failure_of({FailedAt::launch, std::nullopt, launch_error_});
            std::string text = not_launched_text(id_, *failure, launch_error_);
            out = failed(Errc::start_failed, std::move(failure), std::move(text));
            break;
        }
        case Cause::died_early: {
            const FailedAt at = place_taken_ ? FailedAt::taken_place : FailedAt::loading;
            auto failure = failure_of({at, last_status_, output});
            std::string text = died_early_text(id_, *failure, since(started_));
            out = failed(Errc::start_failed, std::move(failure), std::move(text));
            break;
        }
        case Cause::not_ready:
        case Cause::stalled: {
            if (is_over) {
                out = Error(Errc::start_timeout, Blame::upstream, last_failure_);
                break;
            }
            const bool stalled = news.cause == Cause::stalled;
            auto failure =
                failure_of({stalled ? FailedAt::stall : FailedAt::deadline, std::nullopt, output});
            std::string text =
                stalled ? stalled_text(id_, *failure, since(started_), model_->start_stall_timeout)
                        : not_ready_text(id_, *failure, since(started_), asked_address());
            out = failed(Errc::start_timeout, std::move(failure), std::move(text));
            break;
        }
        case Cause::crashed: {
            auto failure = failure_of({FailedAt::serving, last_status_, output});
            std::string text =
                "model \"" + log::clean(id_.str()) + "\" ended by itself: " + ending_text(*failure);
            out = failed(Errc::upstream_closed, std::move(failure), std::move(text));
            break;
        }
        case Cause::wanted:
        case Cause::healthy:
        case Cause::told_to_stop:
        case Cause::closing:
            return std::nullopt;
    }
    out->failure = failure_;
    return out;
}

/// What was asked whether it is ready.
std::string ModelProcess::asked_address() const {
    const std::string& path = model_->check_endpoint;
    return path == "none" ? "its address"
                          : "http://" + endpoint_->authority() + endpoint_->base_path + path;
}

void ModelProcess::log_transition(const Announce& news) const {
    const std::string model = log::clean(id_.str());
    const std::string_view state = process_state_name(news.to);
    const std::string_view cause = news.cause == Cause::told_to_stop && stop_reason_
                                       ? stop_reason_name(*stop_reason_)
                                       : cause_name(news.cause);
    const bool stopped = news.from == ProcessState::stopping;
    const auto ms = since(stopped ? stop_began_ : started_).count();
    const std::string_view kind = failure_ ? failure_class_name(failure_->kind) : "";
    switch (news.cause) {
        case Cause::spawn_failed:
            spdlog::warn("model={} state={} cause={} class={} why=\"{}\"", model, state, cause,
                         kind, log::clean(launch_error_));
            return;
        case Cause::died_early:
        case Cause::crashed: {
            const auto line = last_output_.rfind('\n');
            spdlog::warn(
                "model={} pid={} state={} cause={} class={} exit=\"{}\" duration_ms={} "
                "last=\"{}\"",
                model, last_pid_, state, cause, kind, last_status_.describe(), ms,
                log::clean(line == std::string::npos ? last_output_
                                                     : last_output_.substr(line + 1)));
            return;
        }
        case Cause::wanted:
            return;  // logged by spawn(), which knows the pid
        case Cause::not_ready:
        case Cause::stalled:
            spdlog::warn("model={} pid={} state={} cause={} class={} duration_ms={}", model,
                         last_pid_, state, cause, kind, ms);
            return;
        case Cause::healthy:
        case Cause::told_to_stop:
        case Cause::closing:
            if (is_at_rest(news.from)) {
                return;  // nothing ran: a failure is forgotten, or the end has come
            }
            spdlog::info("model={} pid={} state={} cause={} duration_ms={}", model, last_pid_,
                         state, cause, ms);
            return;
    }
}

}  // namespace corral
