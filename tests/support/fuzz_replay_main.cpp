// The main of a fuzz target without libFuzzer:  replay CORPUS_FOLDER
// Feeds it every file of the corpus, each cut short at every length up to a limit, and some hundred
// mutations of each from a fixed seed: the same inputs in every run, on every machine. A crash, a
// failed assertion or a sanitizer's report is the failure; the property is the target's own.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr std::size_t prefixes_max = 512;
constexpr int mutations_per_file = 300;

/// splitmix64: no distribution of the standard library, so that every machine mutates alike.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}

    std::size_t below(std::size_t limit) {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
        z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
        z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
        return static_cast<std::size_t>((z ^ (z >> 31U)) % std::max<std::size_t>(limit, 1));
    }

private:
    std::uint64_t state_;
};

void feed(const std::string& bytes) {
    // An exact copy on the heap, so that a sanitizer sees a read of one byte too many.
    const std::vector<std::uint8_t> copy(bytes.begin(), bytes.end());
    LLVMFuzzerTestOneInput(copy.data(), copy.size());
}

/// One to four small changes: a bit, a byte of the kind that parsers stumble over, a cut, a copy.
std::string mutated(std::string bytes, Random& random) {
    static constexpr char nasty[] = {'\0', '\n', '\r', '"',  '\\',   '{',    '[',
                                     ':',  '$',  ' ',  '\'', '\xff', '\x7f', '\x80'};
    for (std::size_t change = 0; change <= random.below(4); ++change) {
        const std::size_t at = random.below(bytes.size());
        switch (bytes.empty() ? 3 : random.below(5)) {
            case 0:
                bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8)));
                break;
            case 1:
                bytes[at] = nasty[random.below(std::size(nasty))];
                break;
            case 2:
                bytes.erase(at, 1 + random.below(16));
                break;
            case 3:
                bytes.insert(at, 1, nasty[random.below(std::size(nasty))]);
                break;
            default:
                bytes.insert(random.below(bytes.size()), bytes.substr(at, 1 + random.below(64)));
        }
    }
    return bytes;
}

std::string read(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fputs("usage: replay CORPUS_FOLDER\n", stderr);
        return 2;
    }
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
        files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());  // the folder's order is the file system's whim
    std::size_t inputs = 0;
    for (const auto& path : files) {
        const std::string seed = read(path);
        feed(seed);
        for (std::size_t length = 0; length < std::min(seed.size(), prefixes_max); ++length) {
            feed(seed.substr(0, length));
            ++inputs;
        }
        Random random(seed.size());
        for (int i = 0; i < mutations_per_file; ++i) {
            feed(mutated(seed, random));
            ++inputs;
        }
    }
    std::printf("%zu files and %zu inputs made from them\n", files.size(), inputs);
    return files.empty() ? 1 : 0;  // a replay of nothing proves nothing
}
