// From how a process ended and what it printed last to a class: the real texts of the engines.
#include "supervisor/logic/failure_class.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <string>

using namespace corral;

namespace {

FailureClass of_output(std::string_view output, FailedAt at = FailedAt::loading) {
    return classify({at, ExitStatus{false, 1}, output});
}

}  // namespace

TEST_CASE("what engines print when they fail is understood") {
    // Guards: each class is told from the words that llama.cpp, vLLM, Python and libc really use.
    struct Row {
        std::string_view output;
        FailureClass kind;
    };
    const Row rows[] = {
        {"ggml_backend_cuda_buffer_type_alloc_buffer: allocating 16384.00 MiB on device 0: "
         "cudaMalloc failed: out of memory\n"
         "alloc_tensor_range: failed to allocate CUDA0 buffer of size 17179869184\n"
         "llama_model_load: error loading model: unable to allocate CUDA0 buffer\n"
         "llama_model_load_from_file_impl: failed to load model\n"
         "main: error: unable to load model",
         FailureClass::out_of_memory},
        {"ggml_metal_graph_compute: command buffer 0 failed with status 5\n"
         "error: Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)",
         FailureClass::out_of_memory},
        {"ggml_vulkan: Device memory allocation of size 1073741824 failed.\n"
         "vk::Device::allocateMemory: ErrorOutOfDeviceMemory",
         FailureClass::out_of_memory},
        {"terminate called after throwing an instance of 'std::bad_alloc'\n"
         "  what():  std::bad_alloc",
         FailureClass::out_of_memory},
        {"ggml_aligned_malloc: insufficient memory (attempted to allocate 98304.00 MB)\n"
         "llama_init_from_model: failed to initialize the context: failed to allocate buffer for "
         "kv cache",
         FailureClass::out_of_memory},
        {"torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB.",
         FailureClass::out_of_memory},
        {"ValueError: No available memory for the cache blocks. Try increasing "
         "`gpu_memory_utilization` when initializing the engine.",
         FailureClass::out_of_memory},
        {"gguf_init_from_file: failed to open GGUF file '/m/x.gguf' (No such file or directory)\n"
         "llama_model_load: error loading model: llama_model_loader: failed to load model from "
         "/m/x.gguf\nmain: error: unable to load model",
         FailureClass::file_missing},
        {"FileNotFoundError: [Errno 2] No such file or directory: 'x'", FailureClass::file_missing},
        {"sh: 1: llama-server: command not found", FailureClass::file_missing},
        {"OSError: org/x is not a local folder and is not a valid model identifier listed on",
         FailureClass::file_missing},
        {"error: invalid argument: --flash-attention", FailureClass::bad_flag},
        {"error while handling argument \"-fa\": expected value for argument",
         FailureClass::bad_flag},
        {"error: the argument has been removed. use --load-mode", FailureClass::bad_flag},
        {"api_server.py: error: unrecognized arguments: --foo", FailureClass::bad_flag},
        {"server: unrecognized option '--foo'", FailureClass::bad_flag},
        {"start: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 8080",
         FailureClass::port_in_use},
        {"OSError: [Errno 98] Address already in use", FailureClass::port_in_use},
        {"llama-server: error while loading shared libraries: libcudart.so.12: cannot open shared "
         "object file: No such file or directory",
         FailureClass::library_missing},
        {"./x: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by ./x)",
         FailureClass::library_missing},
        {"ModuleNotFoundError: No module named 'vllm'", FailureClass::library_missing},
        {"GGML_ASSERT(n_tokens > 0) failed", FailureClass::other},
        {"", FailureClass::other},
    };
    for (const Row& row : rows) {
        CAPTURE(row.output);
        CHECK(failure_class_name(of_output(row.output)) == failure_class_name(row.kind));
        CHECK(of_output(row.output, FailedAt::serving) == row.kind);
    }
}

TEST_CASE("words that an engine takes back do not count") {
    // Guards: a warning that it got over is no reason.
    CHECK(of_output("cudaMalloc failed: out of memory\nretrying without pipeline parallelism\n"
                    "something else broke") == FailureClass::other);
    CHECK(of_output("warning: failed to mlock 123-byte buffer: Cannot allocate memory\n"
                    "something else broke") == FailureClass::other);
}

TEST_CASE("of several reasons the last one counts") {
    // Guards: what was printed before the reason, and survived, does not hide it.
    CHECK(of_output("open /sys/x: No such file or directory\nCUDA error: out of memory\nbye") ==
          FailureClass::out_of_memory);
    CHECK(of_output("out of memory, using the CPU\nfailed to open GGUF file 'mmproj.gguf'") ==
          FailureClass::file_missing);
}

TEST_CASE("a status may say more than any output") {
    // Guards: who ended a process is known better than it knew itself.
    const auto of = [](ExitStatus status, std::string_view output = "error: invalid argument: x") {
        return classify({FailedAt::serving, status, output});
    };
    CHECK(of({true, SIGKILL}) == FailureClass::oom_killed);
    CHECK(of({true, SIGKILL, Ending::oom_killer}) == FailureClass::oom_killed);
    CHECK(of({true, SIGKILL, Ending::killed}, "") == FailureClass::other);
    CHECK(of({true, SIGKILL, Ending::memory_limit, 1, 2}) == FailureClass::memory_limit);
    CHECK(of({true, SIGSEGV}, "") == FailureClass::other);
    CHECK(of({false, 127}, "") == FailureClass::file_missing);
    CHECK(of({false, 127}, "address already in use") == FailureClass::port_in_use);
    CHECK(classify({FailedAt::deadline, std::nullopt, "out of memory"}) == FailureClass::timed_out);
    CHECK(classify({FailedAt::stall, std::nullopt, ""}) == FailureClass::timed_out);
    // Corral's own SIGKILL is not the kernel's.
    CHECK(classify({FailedAt::taken_place, ExitStatus{true, 9}, ""}) == FailureClass::port_in_use);
    CHECK(classify({FailedAt::launch, std::nullopt,
                    "cannot start '/x/server': No such file or directory"}) ==
          FailureClass::file_missing);
}

TEST_CASE("every class has a name of its own and advice") {
    // Guards: no answer without something to do, and names that programs can rely on.
    constexpr std::string_view names[] = {"other",      "out_of_memory", "file_missing",
                                          "bad_flag",   "port_in_use",   "library_missing",
                                          "oom_killed", "memory_limit",  "timeout"};
    for (std::size_t i = 0; i < std::size(names); ++i) {
        const auto kind = static_cast<FailureClass>(i);
        CHECK(failure_class_name(kind) == names[i]);
        CHECK(failure_sentence(kind).empty() == (kind == FailureClass::other));
        for (const auto at : {FailedAt::launch, FailedAt::loading, FailedAt::deadline,
                              FailedAt::stall, FailedAt::serving}) {
            CHECK(failure_hint(kind, {at, ExitStatus{}, ""}).ends_with("."));
        }
    }
    CHECK(failure_hint(FailureClass::other, {FailedAt::loading, ExitStatus{}, ""})
              .find("foreground") != std::string_view::npos);
}

TEST_CASE("the usual words for a port that is in use are understood") {
    // Guards: a start that lost its port in a race is repeated on another one.
    CHECK(says_port_is_taken("bind(): Address already in use"));
    CHECK(says_port_is_taken("OSError: [Errno 98] EADDRINUSE"));
    CHECK(says_port_is_taken("start: couldn't bind HTTP server socket, port: 8080"));
    CHECK_FALSE(says_port_is_taken("address not mapped"));
    CHECK_FALSE(says_port_is_taken(""));
}
