// The documented names, exactly, and that no file name gets out of the safe alphabet. Pure.

#include "discovery/naming.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>

using namespace corral;

TEST_CASE("the documented file names give the documented model names") {
    struct Example {
        const char* file;
        const char* name;
        const char* readable;
    };
    for (const auto& [file, name, readable] : {
             Example{"llama-3.2-1b-instruct-q4_k_m.gguf", "llama3.2:1b-instruct",
                     "llama3.2:1b-instruct"},
             Example{"tinyllama-1.1b-chat-v1.0.Q4_K_S.gguf", "tinyllama1.1:b-chat",
                     "tinyllama:1.1b-chat"},
             Example{"gemma-3-4b-it-Q4_K_M.gguf", "gemma3:4b-it", "gemma3:4b-it"},
             Example{"Qwen3-30B-A3B-Instruct-2507-UD-Q4_K_XL.gguf", "qwen3:30b-a3b-instruct-2507",
                     "qwen3:30b-a3b-instruct-2507"},
             Example{"mistral-7b-instruct-v0.2.gguf", "mistral7:b-instruct", "mistral:7b-instruct"},
             Example{"Meta-Llama-3.1-8B-Instruct-IQ2_M.gguf", "meta-llama3.1:8b-instruct",
                     "meta-llama3.1:8b-instruct"},
             Example{"DeepSeek-R1-Distill-Qwen-7B.gguf", "deepseek-r1:distill-qwen-7b",
                     "deepseek-r1:distill-qwen-7b"},
             Example{"gpt-oss-20b-mxfp4.gguf", "gpt-oss20:b", "gpt-oss:20b"},
             Example{"nomic-embed-text-v1.5.f16.gguf", "nomic-embed-text", "nomic-embed-text"},
             Example{"mixtral-8x7b-instruct-v0.1.Q4_K_M.gguf", "mixtral8:x7b-instruct",
                     "mixtral:8x7b-instruct"},
             Example{"gemma-3n-E4B-it-Q8_0.gguf", "gemma3:n-e4b-it", "gemma3n:e4b-it"},
             Example{"bge-m3-F16.gguf", "bge-m3", "bge-m3"},
             Example{"Qwen2.5-0.5B-Instruct-00001-of-00002.gguf", "qwen2.5:0.5b-instruct",
                     "qwen2.5:0.5b-instruct"},
             Example{"my_own_model.gguf", "my-own-model", "my-own-model"},
             Example{"7b.gguf", "7b", "7b"},
             Example{"\xff\xfe.gguf", "model", "model"},
             Example{".gguf", "model", "model"},
             Example{"x", "x", "x"},
         }) {
        const FileNameParts parts = read_file_name(file);
        CHECK(parts.name == name);
        CHECK(parts.readable == readable);
    }
}

TEST_CASE("quantization and version are cut off and kept") {
    FileNameParts parts = read_file_name("tinyllama-1.1b-chat-v1.0.Q4_K_S.gguf");
    CHECK(parts.quantization == "q4_k_s");
    CHECK(parts.version == "v1.0");
    CHECK(parts.stem == "tinyllama-1.1b-chat-v1.0.Q4_K_S");
    parts = read_file_name("Qwen3-30B-A3B-UD-Q4_K_XL-00001-of-00002.gguf");
    CHECK(parts.quantization == "ud-q4_k_xl");
    CHECK(parts.stem == "Qwen3-30B-A3B-UD-Q4_K_XL");
    for (const char* tag : {"iq2_xxs", "tq1_0", "bf16", "f16", "fp16", "f32", "mxfp4", "mxfp4_moe",
                            "nvfp4", "q8_0", "q4"}) {
        CHECK(read_file_name("x-" + std::string(tag) + ".gguf").quantization == tag);
    }
    for (const char* no_tag : {"qx", "q4__k", "iq", "tq10", "f64", "ud-", "ud-x"}) {
        CHECK(read_file_name("x-" + std::string(no_tag) + ".gguf").quantization.empty());
    }
}

TEST_CASE("sizes come from the name, contexts and active parameters do not count") {
    const auto size = [](const char* file) { return read_file_name(file).billions.value_or(-1); };
    CHECK(size("tinyllama-1.1b-chat.gguf") == doctest::Approx(1.1));
    CHECK(size("SmolLM2-135M-Instruct.gguf") == doctest::Approx(0.135));
    CHECK(size("mixtral-8x7b.gguf") == doctest::Approx(56));
    CHECK(size("Qwen3-30B-A3B.gguf") == doctest::Approx(30));
    CHECK(size("gemma-3n-E4B-it.gguf") == doctest::Approx(4));
    CHECK(size("Qwen2.5-0.5B.gguf") == doctest::Approx(0.5));
    CHECK(size("Phi-3-mini-4k-instruct-q4.gguf") == -1);
    CHECK(size("Yi-34B-200K.gguf") == doctest::Approx(34));
    CHECK(size("model-q4_k_m.gguf") == -1);
    CHECK(read_size_label("8x7B") == doctest::Approx(56));
    CHECK(read_size_label("126K").value_or(0) == doctest::Approx(0.000126));
    CHECK_FALSE(read_size_label("large"));
    CHECK_FALSE(read_size_label(""));
}

TEST_CASE("words in the name tell the role when the metadata does not") {
    CHECK(read_file_name("llama-3.2-1b-instruct.gguf").says_chat);
    CHECK(read_file_name("gemma-3-4b-it.gguf").says_chat);
    CHECK_FALSE(read_file_name("split-model.gguf").says_chat);
    CHECK(read_file_name("bge-reranker-v2-m3.gguf").says_reranker);
    CHECK(read_file_name("all-MiniLM-L6-v2.gguf").says_embedding);
    CHECK_FALSE(read_file_name("qwen2.5-7b.gguf").says_embedding);
}

TEST_CASE("part numbers are five digits of five digits") {
    const auto part = read_part_number("big-q4-00002-of-00003.gguf");
    REQUIRE(part);
    CHECK(part->prefix == "big-q4");
    CHECK(part->number == 2);
    CHECK(part->count == 3);
    for (const char* name : {"x-1-of-3.gguf", "x-00001-of-0003.gguf", "x-000012-of-00003.gguf",
                             "x-00001-of-00003", "00001-of-00003.gguf", ".gguf", ""}) {
        CHECK_FALSE(read_part_number(name));
    }
}

TEST_CASE("unfinished downloads are known by their names") {
    for (const char* name :
         {"x.gguf.part", "x.gguf.incomplete", "x.gguf.downloadInProgress", "x.gguf.crdownload"}) {
        CHECK(is_partial_download(name));
    }
    CHECK_FALSE(is_partial_download("x.gguf"));
    CHECK_FALSE(is_partial_download(".part"));
}

TEST_CASE("whatever the file is called, its name stays within the safe alphabet") {
    std::mt19937 random(7);
    const std::string alphabet =
        "aZ09-_. :'\"$`\\\n\t{}[]#&*!|>%@/\xc3\xa9\xff" + std::string(1, '\0');
    for (int round = 0; round < 20'000; ++round) {
        std::string file;
        for (std::size_t length = random() % 40; length > 0; --length) {
            file += alphabet[random() % alphabet.size()];
        }
        const FileNameParts parts = read_file_name(file + (round % 2 == 0 ? ".gguf" : ""));
        REQUIRE_FALSE(parts.name.empty());
        REQUIRE(parts.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._-:") ==
                std::string::npos);
        REQUIRE(parts.readable.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._-:") ==
                std::string::npos);
        REQUIRE(parts.name.front() != '-');
    }
}
