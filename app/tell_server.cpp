#include "app/tell_server.hpp"

#include "core/endpoint.hpp"
#include "core/file.hpp"
#include "core/listen_address.hpp"
#include "discovery/text.hpp"
#include "proxy/upstream/connector.hpp"
#include "proxy/upstream/tls_context.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <nlohmann/json.hpp>

#include <array>
#include <exception>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace corral {
namespace {

namespace asio = boost::asio;

constexpr std::size_t config_bytes_max = 16U << 20;
constexpr std::size_t answer_bytes_max = 1U << 20;
constexpr Duration patience{30'000};
constexpr std::string_view usual_address = "127.0.0.1:8091";

/// A server, and what came of asking it.
struct Asked {
    Endpoint endpoint;
    bool connected = false;
    std::string problem;  ///< why it is not connected
    std::string answer;   ///< head and body, as far as they came
};

/// Sends the request and reads until the server ends. `asked` outlives the loop that runs this.
asio::awaitable<void> exchange_with(Asked& asked, std::string request, TlsClient& tls) {
    ConnectOptions options;
    options.timeout = patience;
    options.tls_timeout = patience;
    options.tls = &tls;
    auto wire = co_await connect_upstream(asked.endpoint, options);
    if (!wire) {
        asked.problem = wire.error().detail;
        co_return;
    }
    asked.connected = true;
    wire->set_deadline(Clock::now() + patience);
    wire->set_write_deadline(Clock::now() + patience);
    const std::array<asio::const_buffer, 1> buffers{asio::buffer(request)};
    boost::system::error_code error = co_await wire->write(buffers);
    while (!error && asked.answer.size() < answer_bytes_max) {
        error = co_await wire->fill();
        asked.answer += wire->in().data();
        wire->in().consume(wire->in().data().size());
    }
}

void exchange(Asked& asked, const std::string& key, TlsClient tls) {
    std::string request =
        "POST /api/config/reload HTTP/1.1\r\nHost: " +
        (asked.endpoint.unix_path.empty() ? asked.endpoint.authority() : std::string("localhost")) +
        "\r\nConnection: close\r\nContent-Length: 0\r\n";
    request += key.empty() ? "\r\n" : "Authorization: Bearer " + key + "\r\n\r\n";
    asio::io_context loop;
    asio::co_spawn(loop, exchange_with(asked, std::move(request), tls),
                   [](const std::exception_ptr& failure) {
                       if (failure) {
                           std::rethrow_exception(failure);
                       }
                   });
    loop.run();
}

/// Where clients of this machine reach what listens there.
Endpoint endpoint_of(const ListenAddress& address, bool has_certificate) {
    Endpoint out;
    out.unix_path = address.unix_path;
    if (!out.unix_path.empty()) {
        return out;
    }
    const bool is_any = address.host.empty() || address.host == "0.0.0.0" || address.host == "::";
    out.host = is_any ? "127.0.0.1" : address.host;
    out.port = address.port;
    out.tls = address.tls == ListenAddress::Tls::always ||
              (address.tls == ListenAddress::Tls::when_there_is_a_certificate && has_certificate);
    return out;
}

/// An address of the command line may lack its port.
Result<ListenAddress> read_address(const std::string& text) {
    Result<ListenAddress> address = parse_listen_address(text);
    if (!address) {
        if (Result<ListenAddress> usual = parse_listen_address(text + ":8091")) {
            return usual;
        }
    }
    return address;
}

/// How people write it.
std::string place_of(const Endpoint& endpoint) {
    return endpoint.unix_path.empty()
               ? (endpoint.tls ? "https://" : "") + escaped(endpoint.authority(), 200)
               : "unix:" + escaped(endpoint.unix_path, 200);
}

std::optional<Config> read_config(const std::string& file, const EnvironmentLookup& environment) {
    const auto text = read_text_file(file, config_bytes_max);
    return text ? load_config(*text, file, environment).config : std::nullopt;
}

/// What the answer says of itself: the changes of a reload, or the message of an error.
std::string meaning_of(const std::string& answer) {
    const std::size_t body = answer.find("\r\n\r\n");
    const auto document = nlohmann::json::parse(
        body == std::string::npos ? std::string() : answer.substr(body + 4), nullptr, false);
    if (document.is_object() && document.contains("changed")) {
        std::string text;
        for (const char* what : {"added", "removed", "restarted", "updated"}) {
            for (const auto& name : document.value(what, nlohmann::json::array())) {
                text += (text.empty() ? "" : ", ") + std::string(what) + " " +
                        escaped(name.is_string() ? name.get<std::string>() : "?", 200);
            }
        }
        return text.empty() ? "nothing changed for it" : text;
    }
    if (document.is_object() && document.contains("error")) {
        const auto& error = document["error"];
        const auto& message =
            error.is_object() && error.contains("message") ? error["message"] : error;
        return escaped(message.is_string() ? message.get<std::string>() : message.dump(), 500);
    }
    return escaped(answer.substr(0, answer.find("\r\n")), 200);
}

ServerAnswer answer_of(const Asked& asked) {
    const std::string place = place_of(asked.endpoint);
    if (!asked.answer.starts_with("HTTP/1.1 ")) {
        return {true, "The server at " + place + " gave no answer that can be read."};
    }
    const bool done = asked.answer.starts_with("HTTP/1.1 200 ");
    return {!done, "The server at " + place + (done ? " has reloaded: " : " did not reload: ") +
                       meaning_of(asked.answer) + "."};
}

/// Asks as the owner of the server's certificate, then as anybody whom the system believes.
void ask(Asked& asked, const std::string& key, const std::string& certificate) {
    if (asked.endpoint.tls && !certificate.empty()) {
        exchange(asked, key, TlsClient(certificate));
    }
    if (!asked.connected) {
        exchange(asked, key, TlsClient());
    }
}

}  // namespace

ServerAnswer tell_server_to_reload(const ServerPlace& place, const std::string& file,
                                   const EnvironmentLookup& environment) {
    const std::optional<Config> config = read_config(file, environment);
    const std::string key =
        config && !config->api_keys.empty() ? config->api_keys.front() : std::string();
    const std::string certificate =
        !place.certificate.empty() || !config ? place.certificate : config->tls.certificate;
    std::vector<std::string> addresses = config ? config->listen : std::vector<std::string>();
    if (!place.address.empty()) {
        addresses = {place.address};
    } else if (addresses.empty()) {
        addresses = {std::string(usual_address)};
    }
    std::string silent;
    for (const std::string& text : addresses) {
        const Result<ListenAddress> address = read_address(text);
        if (!address) {
            return {true, address.error().detail};
        }
        Asked asked;
        asked.endpoint = endpoint_of(*address, !certificate.empty());
        ask(asked, key, certificate);
        if (asked.connected) {
            return answer_of(asked);
        }
        if (const std::size_t tls = asked.problem.find("TLS: "); tls != std::string::npos) {
            return {true, "The server at " + place_of(asked.endpoint) + " did not reload. " +
                              escaped(asked.problem.substr(tls), 500) +
                              ". Or name its certificate: --tls-cert-file FILE"};
        }
        silent += (silent.empty() ? "" : ", ") + place_of(asked.endpoint);
    }
    return {false, "No server answers at " + silent + "; it will read the file when it starts."};
}

}  // namespace corral
