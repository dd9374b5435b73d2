#pragma once
// Reads the header of a GGUF file: metadata and the sum of its tensors, never the weights. Pure:
// bytes come from a ByteSource. No length or count of the file is believed before it was compared
// with the file's size; arrays are skipped, not stored; the work has a ceiling (GgufLimits).
// Format: ggml's docs/gguf.md, versions 2 and 3, little-endian. Any thread.

#include "core/error.hpp"
#include "discovery/byte_source.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace corral {

enum class GgufType : std::uint32_t {
    u8 = 0,
    i8,
    u16,
    i16,
    u32,
    i32,
    f32,
    boolean,
    string,
    array,
    u64,
    i64,
    f64,
};

/// What a header may hold at most; beyond it the file is refused.
struct GgufLimits {
    std::uint64_t pairs_max = 65'536;
    std::uint64_t tensors_max = 1'000'000;
    std::uint64_t string_bytes_max = 1U << 20;    ///< one metadata string
    std::uint64_t key_bytes_max = 65'535;         ///< by the format
    std::uint64_t tensor_name_bytes_max = 63;     ///< by the engine
    std::uint64_t text_bytes_kept = 32U << 10;    ///< of one string; the rest is skipped
    std::uint64_t array_numbers_kept = 4'096;     ///< longer arrays: only their length
    std::uint64_t array_strings_max = 4'000'000;  ///< each costs a look
    std::size_t tensors_kept_max = 256;
    std::uint64_t alignment_max = 1U << 20;
    std::uint64_t header_bytes_read_max = 64U << 20;  ///< the ceiling of the work
};

/// An array: what it holds and how much. `numbers` is filled for short arrays of integers.
struct GgufArray {
    GgufType element = GgufType::u8;
    std::uint64_t count = 0;
    std::vector<std::uint64_t> numbers;
};

/// Signed numbers as int64, unsigned as uint64, both float types as double.
using GgufValue = std::variant<std::uint64_t, std::int64_t, double, bool, std::string, GgufArray>;

/// One tensor's entry, for the few that somebody wants to look at.
struct GgufTensor {
    std::string name;
    std::vector<std::uint64_t> extents;  ///< 1 to 4; the first is the length of a row
};

struct GgufHeader {
    std::uint32_t version = 0;
    std::uint64_t tensor_count = 0;
    std::uint64_t alignment = 32;
    std::uint64_t data_offset = 0;      ///< where the weights begin
    std::uint64_t tensor_elements = 0;  ///< weights in all
    std::uint64_t tensor_bytes = 0;     ///< their size in the file
    std::string_view main_type;  ///< the type that most of these bytes have: "Q4_K"; may be empty
    std::map<std::string, GgufValue, std::less<>> values;  ///< the keys that were wanted
    std::vector<GgufTensor> tensors;                       ///< those that were wanted

    /// The value of a key, or nullptr.
    [[nodiscard]] const GgufValue* find(std::string_view key) const;
};

/// Says for each key, or for each tensor's name, whether it is to be kept. Must not throw.
using GgufKeyFilter = std::function<bool(std::string_view key)>;
using GgufTensorFilter = std::function<bool(std::string_view name)>;

/// Reads a header. Errors are `corrupt` (not this format, or a value that cannot be) and
/// `short_input` (the file ends too early), with offset and reason in `detail`; also the source's.
/// Long arrays of strings are jumped over (string_array.hpp): what stands behind them must then
/// make sense to the last tensor, else everything is read again, string by string.
[[nodiscard]] Result<GgufHeader> parse_gguf(ByteSource& source, const GgufKeyFilter& wanted,
                                            const GgufLimits& limits = {},
                                            const GgufTensorFilter& wanted_tensor = {});

}  // namespace corral
