#pragma once
// Reads what one JSON document says about tokens and times, while its bytes pass: only the numbers
// themselves are kept, never the text, and nothing is allocated. Where it looks it is strict; what
// it only steps over it does not check. Pure; any thread.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace corral::http {

/// The numbers that are read, in the order of the objects that hold them.
enum class UsageField : std::uint8_t {
    prompt_tokens,  // of `usage`
    input_tokens,
    completion_tokens,
    output_tokens,
    cache_read_input_tokens,
    input_cached_tokens,   ///< input_tokens_details.cached_tokens
    prompt_cached_tokens,  ///< prompt_tokens_details.cached_tokens
    prompt_n,              // of `timings` (llama.cpp)
    predicted_n,
    prompt_per_second,
    predicted_per_second,
    prompt_ms,
    predicted_ms,
    cache_n,
    draft_n,
    draft_n_accepted,
    time_to_first_token_ms,  // of `metrics` (vLLM)
    mean_itl_ms,
    num_draft_tokens,  ///< speculative_decoding.num_draft_tokens
    num_accepted_draft_tokens,
    none,
};

/// A number for each field; `absent` for what was not given as a number that is not negative.
/// A double holds every count that an answer can have.
class UsageNumbers {
public:
    static constexpr double absent = -1;

    UsageNumbers() { values_.fill(absent); }
    [[nodiscard]] double operator[](UsageField field) const noexcept {
        return values_[static_cast<std::size_t>(field)];
    }
    void set(UsageField field, double value) noexcept {
        values_[static_cast<std::size_t>(field)] = value;
    }
    /// [from, to) are those of `other`.
    void take(const UsageNumbers& other, UsageField from, UsageField to) noexcept;
    void clear(UsageField from, UsageField to) noexcept { take({}, from, to); }

private:
    std::array<double, static_cast<std::size_t>(UsageField::none)> values_{};
};

/// Input, output and cached tokens of all `usage` objects so far: the last positive value counts.
struct UsageCounts {
    double input = UsageNumbers::absent;
    double output = UsageNumbers::absent;
    double cached = UsageNumbers::absent;  ///< here the last that was given, zero or not

    void merge(const UsageCounts& later) noexcept;
};

class UsageReader {
public:
    enum class Document : std::uint8_t {
        answer,  ///< a whole body: `usage`, `timings`, `metrics`; of an array (`/infill`) `timings`
                 ///< of its last element
        event,   ///< of a stream: the same, and `response.usage` and `message.usage`
    };

    explicit UsageReader(Document document) noexcept : document_(document) {}

    /// Reads the next piece of the document.
    void feed(std::string_view bytes) noexcept;
    /// The document has ended: true when it was whole, and the values below are its own.
    [[nodiscard]] bool finish() const noexcept { return at_ == At::end; }
    /// No further byte matters.
    [[nodiscard]] bool given_up() const noexcept { return at_ == At::given_up; }

    [[nodiscard]] const UsageCounts& counts() const noexcept { return counts_; }
    [[nodiscard]] bool has_timings() const noexcept { return has_timings_; }
    [[nodiscard]] bool has_metrics() const noexcept { return has_metrics_; }
    /// The last `timings` and the last `metrics`, where there were any.
    [[nodiscard]] const UsageNumbers& numbers() const noexcept { return numbers_; }

private:
    enum class At : std::uint8_t {
        document,
        first_key,
        key,
        in_key,
        colon,
        first_element,
        value,
        in_string,
        in_scalar,
        after_value,
        in_skipped,  ///< an object or array that does not matter
        in_skipped_string,
        end,
        given_up,
    };
    /// The objects and arrays that are looked into.
    enum class Node : std::uint8_t {
        none,
        answer,
        event,
        elements,
        element,
        wrapper,
        usage,
        input_details,
        prompt_details,
        timings,
        metrics,
        speculation,
    };
    struct Key;
    struct Keys;

    void step(char c) noexcept;
    void begin_value(char c) noexcept;
    void begin_object() noexcept;
    void skip() noexcept;
    void enter(Node node) noexcept;
    void leave() noexcept;
    void look_up_key() noexcept;
    void end_scalar() noexcept;
    void take_string(std::string_view& bytes) noexcept;
    void take_scalar(std::string_view& bytes) noexcept;
    void take_skipped(std::string_view& bytes) noexcept;
    void keep(std::string_view bytes) noexcept;
    [[nodiscard]] Node inside() const noexcept { return nodes_[depth_ - 1]; }

    static constexpr std::size_t token_bytes_max = 40;

    Document document_;
    At at_ = At::document;
    bool escaped_ = false;  ///< the next byte of a string stands behind a backslash
    bool has_timings_ = false, has_metrics_ = false;
    Node child_ = Node::none;              ///< what an object would be as the next value
    UsageField field_ = UsageField::none;  ///< what a number would be
    std::uint8_t depth_ = 0;               ///< of nodes_
    std::uint8_t token_size_ = 0;          ///< one more than token_ holds: too long
    std::array<Node, 4> nodes_{};
    std::uint64_t skipped_depth_ = 0;
    std::array<char, token_bytes_max> token_{};  ///< a key or number that is being read
    UsageNumbers numbers_;
    UsageCounts counts_;
};

}  // namespace corral::http
