// Answers of a fake engine. See answers.hpp.

#include "tests/fake_engine/answers.hpp"

#include <csignal>
#include <cstdio>
#include <fstream>
#include <optional>
#include <unistd.h>

namespace fake {
namespace {

std::string json_string(std::string_view bytes) {
    std::string out = "\"";
    for (const char c : bytes) {  // bytes as Latin-1, so that a test gets each byte back
        const auto byte = static_cast<unsigned char>(c);
        if (byte == '"' || byte == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20 || byte > 0x7e) {
            char escaped[8];
            std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(byte));
            out += escaped;
        } else {
            out += c;
        }
    }
    return out + '"';
}

std::string chunk(std::string_view data) {
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", data.size());
    return size + std::string(data) + "\r\n";
}

std::string path_of(const Request& request) {
    return request.target.substr(0, request.target.find('?'));
}

bool is_one_of(const std::string& path, std::initializer_list<std::string_view> paths) {
    for (const std::string_view p : paths) {
        if (path == p) {
            return true;
        }
    }
    return false;
}

bool is_inference(const std::string& path) {
    return is_one_of(
        path, {"/v1/chat/completions", "/chat/completions", "/v1/completions", "/completions",
               "/v1/responses", "/responses", "/v1/messages", "/messages", "/v1/embeddings",
               "/embeddings", "/v1/rerank", "/rerank", "/completion", "/infill"});
}

bool wants_stream(const Request& request) {
    const auto at = request.body.find("\"stream\"");
    if (at == std::string::npos) {
        return false;
    }
    const auto value = request.body.find_first_not_of(": \t\r\n", at + 8);
    return value != std::string::npos && request.body.compare(value, 4, "true") == 0;
}

std::string echo_json(const Request& request) {
    std::string out = "{\"method\":" + json_string(request.method) +
                      ",\"target\":" + json_string(request.target) + ",\"headers\":[";
    const char* comma = "";
    for (const auto& [name, value] : request.fields) {
        out += comma + ("[" + json_string(name)) + "," + json_string(value) + "]";
        comma = ",";
    }
    return out + "],\"body\":" + json_string(request.body) + "}";
}

class Answer {
public:
    Answer(Connection& connection, const Request& request, const Engine& engine)
        : connection_(connection), request_(request), engine_(engine), options_(engine.options) {}

    /// False: the connection must not be used again.
    bool give() {
        const std::string path = path_of(request_);
        if (path == "/health" || path == "/v1/health") {
            return health();
        }
        if (!loaded()) {
            return whole(503, "application/json", loading_error);
        }
        if (path == "/v1/models" || path == "/models") {
            return whole(200, "application/json", models());
        }
        if (!is_inference(path)) {
            return whole(200, "application/json", echo_json(request_));
        }
        return inference(path);
    }

private:
    static constexpr std::string_view loading_error =
        R"({"error":{"code":503,"message":"Loading model","type":"unavailable_error"}})";

    [[nodiscard]] bool loaded() const {
        if (!options_.load_until.empty()) {
            return ::access(options_.load_until.c_str(), F_OK) == 0;
        }
        return std::chrono::steady_clock::now() >= engine_.started + options_.load;
    }

    bool health() {
        if (options_.garbage_probe) {
            return garbage();
        }
        if (!loaded()) {
            return whole(503, "application/json", loading_error);
        }
        return whole(options_.health_status, "application/json", R"({"status":"ok"})");
    }

    bool garbage() {
        connection_.send_all("\x01\x02 this is not HTTP\r\nat all\r\n\r\n");
        return false;
    }

    /// With --obey a body with "fault": "die", "die-mid-stream", "garbage" or "hang" gets just
    /// that, and one with "nonce" finds it as the id of its answer.
    [[nodiscard]] std::string told(std::string_view name) const {
        const std::string mark = "\"" + std::string(name) + "\": \"";
        const auto at = options_.obey ? request_.body.find(mark) : std::string::npos;
        if (at == std::string::npos) {
            return {};
        }
        const auto from = at + mark.size();
        return request_.body.substr(from, request_.body.find('"', from) - from);
    }
    [[nodiscard]] bool told_to(std::string_view what) const { return told("fault") == what; }
    [[nodiscard]] bool dies_mid_stream() const {
        return options_.die_mid_stream || told_to("die-mid-stream");
    }
    [[nodiscard]] std::string id() const {
        const std::string nonce = told("nonce");
        return "\"id\":\"" + (nonce.empty() ? std::string("fake-1") : nonce) + "\",";
    }

    bool inference(const std::string& path) {
        if (options_.die_on_request || told_to("die")) {
            die(options_);
        }
        if (options_.garbage || told_to("garbage")) {
            return garbage();
        }
        if (told_to("hang")) {
            connection_.wait_for_close();
            return false;
        }
        if (!options_.raw_response.empty()) {
            std::ifstream file(options_.raw_response, std::ios::binary);
            std::string piece(1U << 16, '\0');
            while (file.read(piece.data(), static_cast<std::streamsize>(piece.size())) ||
                   file.gcount() > 0) {
                const auto size = static_cast<std::size_t>(file.gcount());
                if (!connection_.send_all(std::string_view(piece).substr(0, size))) {
                    return false;
                }
            }
            if (options_.linger) {
                connection_.wait_for_close();
            }
            return false;
        }
        const bool streamed = wants_stream(request_) || dies_mid_stream() || options_.cut_mid_chunk;
        if (streamed && options_.status == 200 && !options_.echo) {
            return stream(path);
        }
        if (!connection_.pace()) {
            return false;
        }
        if (options_.status != 200) {
            return whole(options_.status, "application/json",
                         R"({"error":{"message":"scripted failure","type":"server_error"}})");
        }
        if (options_.echo) {
            return whole(200, "application/json", echo_json(request_));
        }
        return whole(200, "application/json", document(path));
    }

    bool whole(int status, std::string_view type, std::string_view body) {
        std::string head = "HTTP/1.1 " + std::to_string(status) + " Scripted\r\nServer: fake\r\n";
        head += "Content-Type: " + std::string(type) + "\r\n";
        note_answer();
        if (options_.huge_header && is_inference(path_of(request_))) {
            head += "X-Huge: " + std::string(256UL * 1024, 'h') + "\r\n";
        }
        if (options_.no_content_length) {
            connection_.send_all(head + "Connection: close\r\n\r\n" + std::string(body));
            return false;
        }
        head += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
        return connection_.send_all(request_.method == "HEAD" ? head : head + std::string(body)) &&
               request_.keep_alive && !options_.close_after;
    }

    bool stream(const std::string& path) {
        const bool chunked = !options_.no_content_length;
        std::string head =
            "HTTP/1.1 200 OK\r\nServer: fake\r\nContent-Type: text/event-stream\r\n"
            "Cache-Control: no-cache\r\n";
        head += chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "Connection: close\r\n\r\n";
        const auto wrap = [&](const std::string& text) { return chunked ? chunk(text) : text; };
        if (!connection_.send_all(head)) {
            return false;
        }
        for (int i = 0; i < options_.tokens; ++i) {
            if (!connection_.pace() || !connection_.send_all(wrap(event(path, i)))) {
                return false;
            }
            if (options_.cut_mid_chunk) {
                connection_.send_all("40\r\ndata: cut off he");
                return false;
            }
            if (dies_mid_stream() && i + 1 >= options_.tokens / 2) {
                die(options_);
            }
        }
        const std::string usage = "data: {" + id() +
                                  "\"object\":\"chat.completion.chunk\","
                                  "\"created\":1,\"model\":" +
                                  json_string(options_.model) +
                                  ",\"choices\":[],\"usage\":" + usage_json() + "}\n\n";
        const std::string end = wrap(usage) + wrap("data: [DONE]\n\n") + (chunked ? chunk("") : "");
        note_answer();
        return connection_.send_all(end) && chunked && request_.keep_alive;
    }

    /// Before the last bytes of an answer leave: who has read the answer finds the note.
    void note_answer() {
        if (path_of(request_) != "/health") {
            engine_.events.append("answered " + request_.target + "\n");
        }
    }

    [[nodiscard]] std::string event(const std::string& path, int index) const {
        const std::string token = "token" + std::to_string(index) + " ";
        const std::string model = json_string(options_.model);
        if (path.find("chat") == std::string::npos) {
            return "data: {" + id() +
                   "\"object\":\"text_completion\",\"created\":1,\"model\":" + model +
                   ",\"choices\":[{\"index\":0,\"text\":" + json_string(token) +
                   ",\"finish_reason\":null}]}\n\n";
        }
        return "data: {" + id() +
               "\"object\":\"chat.completion.chunk\",\"created\":1,"
               "\"model\":" +
               model + ",\"choices\":[{\"index\":0,\"delta\":{\"content\":" + json_string(token) +
               "},\"finish_reason\":null}]}\n\n";
    }

    [[nodiscard]] std::string usage_json() const {
        const std::string n = std::to_string(options_.tokens);
        return "{\"prompt_tokens\":7,\"completion_tokens\":" + n +
               ",\"total_tokens\":" + std::to_string(options_.tokens + 7) + "}";
    }

    [[nodiscard]] std::string models() const {
        return "{\"object\":\"list\",\"data\":[{\"id\":" + json_string(options_.model) +
               ",\"object\":\"model\",\"created\":1,\"owned_by\":\"fake\"}]}";
    }

    [[nodiscard]] std::string document(const std::string& path) const {
        const std::string tail =
            ",\"model\":" + json_string(options_.model) + ",\"usage\":" + usage_json() + "}";
        if (path.find("chat") != std::string::npos) {
            return "{" + id() +
                   "\"object\":\"chat.completion\",\"created\":1,\"choices\":[{"
                   "\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"hello from "
                   "fake\"},"
                   "\"finish_reason\":\"stop\"}]" +
                   tail;
        }
        if (path.find("embedding") != std::string::npos) {
            return "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,"
                   "\"embedding\":[0.25,0.5,0.75]}]" +
                   tail;
        }
        if (path.find("rerank") != std::string::npos) {
            return "{\"object\":\"list\",\"results\":[{\"index\":0,\"relevance_score\":0.5}]" +
                   tail;
        }
        if (path == "/completion" || path == "/infill") {
            return "{\"content\":\"hello from fake\",\"stop\":true" + tail;
        }
        return "{" + id() +
               "\"object\":\"text_completion\",\"created\":1,\"choices\":[{"
               "\"index\":0,\"text\":\"hello from fake\",\"finish_reason\":\"stop\"}]" +
               tail;
    }

    Connection& connection_;
    const Request& request_;
    const Engine& engine_;
    const Options& options_;
};

}  // namespace

void serve(int fd, const Engine& engine) {
    const Options& options = engine.options;
    Connection connection(fd, options, engine.gate_fd, engine.record, engine.events);
    if (options.accept_and_hang) {
        connection.wait_for_close();
        return;
    }
    for (;;) {
        Request request;
        if (!connection.read_head(request)) {
            return;
        }
        if (options.early_400 && is_inference(path_of(request))) {
            constexpr std::string_view body =
                R"({"error":{"code":400,"message":"early","type":"invalid_request_error"}})";
            connection.send_all(
                "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n"
                "Connection: close\r\nContent-Length: " +
                std::to_string(body.size()) + "\r\n\r\n" + std::string(body));
            connection.close_politely();
            return;
        }
        if (const auto asked = request.field("Upgrade"); options.upgrade && !asked.empty()) {
            connection.send_all(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " +
                asked.substr(0, asked.find(',')) + "\r\n\r\n");
            connection.echo();
            return;
        }
        if (!connection.read_body(request) || !Answer(connection, request, engine).give()) {
            return;
        }
    }
}

void die(const Options& options) {
    if (options.signal != 0) {
        std::signal(options.signal, SIG_DFL);
        ::kill(::getpid(), options.signal);
        for (;;) {
            ::pause();
        }
    }
    ::_exit(options.exit_code);
}

}  // namespace fake
