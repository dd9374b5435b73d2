// core/secrets: what hides a secret, and what it leaves alone.
#include "core/secrets.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace corral;

namespace {

struct Row {
    const char* cmd;
    const char* masked;
};

const Row commands[] = {
    {"x --api-key=abc --hf-token  t", "x --api-key=*** --hf-token  ***"},
    {"x --api-key 'a b' -c 1", "x --api-key *** -c 1"},
    {"x --api-key \"a \\\" b\" -c 1", "x --api-key *** -c 1"},
    {"x --api-key a\\ b -c 1", "x --api-key *** -c 1"},
    {"x --api-key \\\n  abc \\\n  -c 1", "x --api-key \\\n  *** \\\n  -c 1"},
    {"x --api-key\tabc\n--token\nabc\n", "x --api-key\t***\n--token\n***\n"},
    {"x --api-key='a b'c d", "x --api-key=*** d"},
    {"sh -c 'exec x --api-key abc'", "sh -c 'exec x --api-key ***'"},
    {"sh -c \"sh -c 'x --password=abc'\"", "sh -c \"sh -c 'x --password=***'\""},
    {"x '--api-key' abc", "x '--api-key' ***"},
    {"env HF_TOKEN=abc x", "env HF_TOKEN=*** x"},
    {"docker run -e OPENAI_API_KEY=abc -e A=b x", "docker run -e OPENAI_API_KEY=*** -e A=b x"},
    {"x --api-key-file f", "x --api-key-file f"},
    {"x --api-key", "x --api-key"},
    {"x --api-key=", "x --api-key="},
    {"x --override-kv tokenizer.key=int:1", "x --override-kv tokenizer.key=int:1"},
    {"", ""},
    {"  \n", "  \n"},
    {"x 'never closed --api-key abc", "x 'never closed --api-key ***"},
    {"x --sh='y --api-key abc' z", "x --sh='y --api-key ***' z"},
};

}  // namespace

TEST_CASE("a command loses the values of its secret flags and variables and nothing else") {
    // Guards: no spelling that the splitter understands lets a key out, and no other byte changes.
    for (const Row& row : commands) {
        CHECK(masked_command(row.cmd) == row.masked);
    }
}

TEST_CASE("variables with secret names lose their values") {
    // Guards: env entries of a model in anything that is shown.
    CHECK(masked_assignment("HF_TOKEN=abc") == "HF_TOKEN=***");
    CHECK(masked_assignment("api_key=a=b") == "api_key=***");
    CHECK(masked_assignment("DbPasswd=") == "DbPasswd=***");
    CHECK(masked_assignment("CUDA_VISIBLE_DEVICES=0,1") == "CUDA_VISIBLE_DEVICES=0,1");
    CHECK(masked_assignment("TOKEN") == "TOKEN");
}

TEST_CASE("a URL loses its user and password") {
    // Guards: addresses of peers in anything that is shown.
    CHECK(masked_url("http://user:pass@host:80/a") == "http://***@host:80/a");
    CHECK(masked_url("http://host/a@b") == "http://host/a@b");
    CHECK(masked_url("unix:///run/x.sock") == "unix:///run/x.sock");
    CHECK(masked_url("x") == "x");
}
