#include "app/notify.hpp"

#include <cstdlib>
#include <ctime>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#ifdef CORRAL_HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

namespace corral::notify {
namespace {

void send(const std::string& message) {
#ifdef CORRAL_HAVE_SYSTEMD
    sd_notify(0, message.c_str());
#else
    static_cast<void>(message);
#endif
}

}  // namespace

void ready(std::string_view status) {
    send("READY=1\nSTATUS=" + std::string(status));
}

void reloading() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    const auto usec = static_cast<long long>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1000;
    send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(usec));
}

void stopping() {
    send("STOPPING=1");
}

void alive() {
    send("WATCHDOG=1");
}

std::optional<std::chrono::microseconds> watchdog_interval() {
#ifdef CORRAL_HAVE_SYSTEMD
    std::uint64_t usec = 0;
    if (sd_watchdog_enabled(0, &usec) > 0) {
        return std::chrono::microseconds(usec / 2);
    }
#endif
    return std::nullopt;
}

std::vector<PassedSocket> passed_sockets() {
    std::vector<PassedSocket> out;
#ifdef CORRAL_HAVE_SYSTEMD
    char** names = nullptr;
    const int count = sd_listen_fds_with_names(1, &names);
    for (int i = 0; i < count; ++i) {
        PassedSocket passed;
        passed.descriptor = SD_LISTEN_FDS_START + i;
        if (names != nullptr && names[i] != nullptr) {
            passed.name = names[i];
        }
        out.push_back(std::move(passed));
    }
    for (int i = 0; names != nullptr && i < count; ++i) {
        std::free(names[i]);
    }
    std::free(names);
#endif
    return out;
}

bool logs_to_journal() {
    const char* stream = std::getenv("JOURNAL_STREAM");  // "device:inode" of the journal's socket
    struct stat st {};
    if (stream == nullptr || fstat(STDERR_FILENO, &st) != 0) {
        return false;
    }
    return std::to_string(st.st_dev) + ":" + std::to_string(st.st_ino) == stream;
}

}  // namespace corral::notify
