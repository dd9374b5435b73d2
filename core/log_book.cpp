#include "core/log_book.hpp"

namespace corral {

void LogBook::add_own(std::string_view line) {
    own_->append(line);
    if (shows_own(select_)) {
        shown_->append(line);
    }
}

void LogBook::add_output(std::string_view model, std::string_view line) {
    output_->append(line);
    output_of(model)->append(line);
    if (shows_output(select_)) {
        shown_->append(line);
    }
}

void LogBook::adopt(const Config& config) {
    select_ = config.log_to_stdout;
    std::erase_if(models_, [&](const auto& entry) {
        return config.find_id(ModelId(entry.first)) == nullptr;
    });
}

const std::shared_ptr<LogTail>& LogBook::output_of(std::string_view model) {
    auto found = models_.find(model);
    if (found == models_.end()) {
        found = models_.emplace(std::string(model), std::make_shared<LogTail>()).first;
    }
    return found->second;
}

}  // namespace corral
