// The GGUF header reader; see gguf.hpp. Everything below treats the file as written by an enemy:
// compare first, multiply with a check, allocate last.

#include "discovery/gguf.hpp"

#include "discovery/header_reader.hpp"
#include "discovery/saturate.hpp"
#include "discovery/tensor_type.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <optional>
#include <utility>

namespace corral {

namespace {

constexpr std::uint32_t type_count = 13;  // values of GgufType
constexpr std::uint64_t u64_max = std::numeric_limits<std::uint64_t>::max();

/// Bytes of one value of a fixed-size type; 0 for strings and arrays.
constexpr std::array<std::uint8_t, type_count> type_bytes{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

std::optional<std::uint64_t> multiply(std::uint64_t a, std::uint64_t b) {
    if (a != 0 && b > u64_max / a) {
        return std::nullopt;
    }
    return a * b;
}

/// What the caller wants to know.
struct Wanted {
    const GgufKeyFilter& key;
    const GgufTensorFilter& tensor;
    const GgufLimits& limits;
};

class Parser {
public:
    /// `may_guess`: jump over long arrays of strings.
    Parser(ByteSource& source, const Wanted& wanted, bool may_guess)
        : reader_(source, wanted.limits.header_bytes_read_max),
          wanted_(wanted),
          limits_(wanted.limits),
          size_(source.size()),
          may_guess_(may_guess) {}

    [[nodiscard]] bool has_guessed() const noexcept { return reader_.has_guessed(); }

    Result<GgufHeader> run() {
        pairs_left_ = read_start();
        while (pairs_left_ > 0 && !reader_.failed()) {
            --pairs_left_;
            read_pair();
        }
        read_alignment();
        for (std::uint64_t i = 0; i < header_.tensor_count && !reader_.failed(); ++i) {
            read_tensor();
        }
        check_data();
        find_main_type();
        if (reader_.failed()) {
            return reader_.error();
        }
        return std::move(header_);
    }

private:
    std::uint64_t read_start() {
        if (size_ < 24) {
            reader_.fail(0, fmt::format("{} bytes are too few for a header", size_),
                         Errc::short_input);
            return 0;
        }
        if (reader_.bytes(4, "the magic number") != "GGUF") {
            reader_.fail(0, "no GGUF file (it does not begin with \"GGUF\")");
        }
        header_.version = reader_.number<std::uint32_t>("the version");
        if (header_.version == 0x03000000 || header_.version == 0x02000000) {
            reader_.fail(4, "big-endian files are not supported");
        } else if (header_.version != 2 && header_.version != 3) {
            reader_.fail(4, fmt::format("version {}; only 2 and 3 are known", header_.version));
        }
        header_.tensor_count = reader_.number<std::uint64_t>("the tensor count");
        const auto pairs = reader_.number<std::uint64_t>("the metadata count");
        if (header_.tensor_count > limits_.tensors_max) {
            reader_.fail(8, fmt::format("{} tensors; the limit is {}", header_.tensor_count,
                                        limits_.tensors_max));
        }
        if (pairs > limits_.pairs_max) {
            reader_.fail(
                16, fmt::format("{} metadata entries; the limit is {}", pairs, limits_.pairs_max));
        }
        return reader_.failed() ? 0 : pairs;
    }

    void read_pair() {
        const std::uint64_t at = reader_.position();
        const std::uint64_t length = reader_.length(limits_.key_bytes_max, "a metadata key");
        const std::string key(reader_.bytes(length, "a metadata key"));
        if (!reader_.failed() && key.empty()) {
            reader_.fail(at, "an empty metadata key");
        }
        const auto type = reader_.number<std::uint32_t>("a value type");
        if (reader_.failed()) {
            return;
        }
        if (!wanted_.key(key)) {
            skip_value(type, at);
            return;
        }
        GgufValue value = read_value(type, at);
        if (!reader_.failed() && !header_.values.emplace(key, std::move(value)).second) {
            reader_.fail(at, fmt::format("the key {} stands there twice", key));
        }
    }

    void check_type(std::uint32_t type, std::uint64_t at) {
        if (type >= type_count) {
            reader_.fail(at, fmt::format("value type {} does not exist", type));
        }
    }

    void skip_value(std::uint32_t type, std::uint64_t at) {
        check_type(type, at);
        if (reader_.failed()) {
            return;
        }
        if (type == static_cast<std::uint32_t>(GgufType::string)) {
            reader_.skip(reader_.length(limits_.string_bytes_max, "a string"), "a string");
        } else if (type == static_cast<std::uint32_t>(GgufType::array)) {
            (void)read_array(at, false);
        } else {
            reader_.skip(type_bytes.at(type), "a value");
        }
    }

    GgufValue read_value(std::uint32_t type, std::uint64_t at) {
        check_type(type, at);
        if (reader_.failed()) {
            return {};
        }
        switch (static_cast<GgufType>(type)) {
            case GgufType::string:
                return read_text();
            case GgufType::array:
                return read_array(at, true);
            case GgufType::boolean:
                return reader_.number<std::uint8_t>("a value") != 0;
            case GgufType::f32:
                return static_cast<double>(reader_.number<float>("a value"));
            case GgufType::f64:
                return reader_.number<double>("a value");
            default:
                break;
        }
        if (is_signed(type)) {
            return static_cast<std::int64_t>(read_integer(type));
        }
        return read_integer(type);
    }

    static bool is_signed(std::uint32_t type) {
        const auto t = static_cast<GgufType>(type);
        return t == GgufType::i8 || t == GgufType::i16 || t == GgufType::i32 || t == GgufType::i64;
    }

    /// An integer or bool; negative numbers come as their two's complement.
    std::uint64_t read_integer(std::uint32_t type) {
        constexpr std::string_view what = "a value";
        const auto widen = [](std::int64_t value) { return static_cast<std::uint64_t>(value); };
        switch (static_cast<GgufType>(type)) {
            case GgufType::i8:
                return widen(reader_.number<std::int8_t>(what));
            case GgufType::u16:
                return reader_.number<std::uint16_t>(what);
            case GgufType::i16:
                return widen(reader_.number<std::int16_t>(what));
            case GgufType::u32:
                return reader_.number<std::uint32_t>(what);
            case GgufType::i32:
                return widen(reader_.number<std::int32_t>(what));
            case GgufType::u64:
                return reader_.number<std::uint64_t>(what);
            case GgufType::i64:
                return widen(reader_.number<std::int64_t>(what));
            default:
                return reader_.number<std::uint8_t>(what);
        }
    }

    std::string read_text() {
        const std::uint64_t length = reader_.length(limits_.string_bytes_max, "a string");
        const std::uint64_t kept = std::min(length, limits_.text_bytes_kept);
        std::string text(reader_.bytes(kept, "a string"));
        reader_.skip(length - kept, "a string");
        return text;
    }

    GgufArray read_array(std::uint64_t at, bool keep) {
        GgufArray array;
        const auto element = reader_.number<std::uint32_t>("an array's element type");
        array.count = reader_.number<std::uint64_t>("an array's length");
        check_type(element, at);
        if (!reader_.failed() && element == static_cast<std::uint32_t>(GgufType::array)) {
            reader_.fail(at, "an array of arrays");
        }
        if (reader_.failed()) {
            return array;
        }
        array.element = static_cast<GgufType>(element);
        // A string takes 8 bytes at least: so the count is checked before the walk.
        const bool strings = array.element == GgufType::string;
        const std::uint64_t each = strings ? 8 : type_bytes.at(element);
        const std::optional<std::uint64_t> total = multiply(array.count, each);
        if (!total || *total > reader_.left()) {
            reader_.fail(at,
                         fmt::format("an array of {} elements, but only {} bytes are left",
                                     array.count, reader_.left()),
                         Errc::short_input);
            return array;
        }
        if (strings && array.count > limits_.array_strings_max) {
            reader_.fail(at, fmt::format("an array of {} strings; the limit is {}", array.count,
                                         limits_.array_strings_max));
            return array;
        }
        const bool real = array.element == GgufType::f32 || array.element == GgufType::f64;
        if (strings) {
            // Only tensors tell for sure that a jump was right: without any there is none.
            std::optional<GgufNext> next;
            if (may_guess_ && header_.tensor_count > 0) {
                next = pairs_left_ > 0 ? GgufNext::pair : GgufNext::tensor;
            }
            reader_.skip_strings(array.count, limits_.string_bytes_max, next);
        } else if (keep && !real && array.count <= limits_.array_numbers_kept) {
            array.numbers.reserve(static_cast<std::size_t>(array.count));
            for (std::uint64_t i = 0; i < array.count && !reader_.failed(); ++i) {
                array.numbers.push_back(read_integer(element));
            }
        } else {
            reader_.skip(*total, "an array");
        }
        return array;
    }

    void read_alignment() {
        const GgufValue* value = header_.find("general.alignment");
        if (reader_.failed() || value == nullptr) {
            return;
        }
        const std::uint64_t* number = std::get_if<std::uint64_t>(value);
        if (number == nullptr || !std::has_single_bit(*number) || *number < 8 ||
            *number > limits_.alignment_max) {
            reader_.fail(reader_.position(),
                         fmt::format("general.alignment is no power of two from 8 to {}",
                                     limits_.alignment_max));
            return;
        }
        header_.alignment = *number;
    }

    /// A place for the tensor's extents, or nullptr when nobody wants it.
    GgufTensor* keep_tensor(std::string_view name) {
        if (reader_.failed() || !wanted_.tensor || !wanted_.tensor(name) ||
            header_.tensors.size() >= limits_.tensors_kept_max) {
            return nullptr;
        }
        return &header_.tensors.emplace_back(GgufTensor{std::string(name), {}});
    }

    void read_tensor() {
        const std::uint64_t at = reader_.position();
        const std::uint64_t length = reader_.length(limits_.tensor_name_bytes_max, "a tensor name");
        const std::string_view name = reader_.free_bytes(length, "a tensor name");
        GgufTensor* kept = keep_tensor(name);
        const auto dimensions = reader_.number<std::uint32_t>("a tensor's dimensions");
        if (!reader_.failed() && (dimensions < 1 || dimensions > 4)) {
            reader_.fail(at, fmt::format("a tensor of {} dimensions", dimensions));
        }
        std::uint64_t elements = 1;
        std::uint64_t row = 0;
        for (std::uint32_t i = 0; i < dimensions && !reader_.failed(); ++i) {
            const auto extent = reader_.number<std::uint64_t>("a tensor's dimension");
            const std::optional<std::uint64_t> product = multiply(elements, extent);
            // The engine counts in signed numbers: the product must stay below 2^63.
            if (!product || *product == 0 || *product > u64_max / 2) {
                reader_.fail(at, "a tensor without elements or with more than can be counted");
                return;
            }
            elements = *product;
            row = i == 0 ? extent : row;
            if (kept != nullptr) {
                kept->extents.push_back(extent);
            }
        }
        const auto type = reader_.number<std::uint32_t>("a tensor's type");
        const auto offset = reader_.number<std::uint64_t>("a tensor's offset");
        if (!reader_.failed()) {
            add_tensor(at, elements, row, type, offset);
        }
    }

    void add_tensor(std::uint64_t at, std::uint64_t elements, std::uint64_t row, std::uint32_t type,
                    std::uint64_t offset) {
        if (offset % header_.alignment != 0 || offset > size_) {
            reader_.fail(
                at,
                fmt::format("a tensor at {}, which is unaligned or past the file's end", offset));
            return;
        }
        const TensorType known = tensor_type(type);
        std::uint64_t bytes = 0;
        if (known.block != 0) {
            const std::optional<std::uint64_t> total =
                multiply(elements / known.block, known.bytes);
            if (row % known.block != 0) {
                reader_.fail(at, fmt::format("a tensor row of {} elements in blocks of {}", row,
                                             known.block));
                return;
            }
            if (!total || *total > size_ - offset) {
                reader_.fail(
                    at, fmt::format("a tensor of {} elements does not fit into the file", elements),
                    Errc::short_input);
                return;
            }
            bytes = *total;
        } else if (known.future) {
            sizes_known_ = false;
        } else {
            reader_.fail(at, fmt::format("tensor type {} is not read by the engine", type));
            return;
        }
        header_.tensor_elements = saturating_add(header_.tensor_elements, elements);
        header_.tensor_bytes = saturating_add(header_.tensor_bytes, bytes);
        data_end_ = std::max(data_end_, offset + bytes);
        if (type < bytes_by_type_.size()) {
            std::uint64_t& sum = bytes_by_type_.at(type);
            sum = saturating_add(sum, bytes);
        }
    }

    void find_main_type() {
        const auto* const largest = std::max_element(bytes_by_type_.begin(), bytes_by_type_.end());
        const auto number = static_cast<std::uint32_t>(largest - bytes_by_type_.begin());
        header_.main_type = *largest == 0 ? std::string_view{} : tensor_type(number).name;
    }

    void check_data() {
        if (reader_.failed()) {
            return;
        }
        const std::uint64_t at = reader_.position();
        const std::uint64_t rest = at % header_.alignment;
        header_.data_offset = rest == 0 ? at : at + (header_.alignment - rest);
        if (header_.tensor_count == 0) {
            return;
        }
        if (header_.data_offset > size_ || data_end_ > size_ - header_.data_offset) {
            reader_.fail(at,
                         fmt::format("the weights end {} bytes after {}, but the file has only "
                                     "{} bytes: is it complete?",
                                     data_end_, header_.data_offset, size_),
                         Errc::short_input);
        } else if (header_.tensor_bytes > size_ - header_.data_offset) {
            reader_.fail(at, "tensors that overlap");
        } else if (!sizes_known_) {
            header_.tensor_bytes = size_ - header_.data_offset;
        }
    }

    HeaderReader reader_;
    const Wanted& wanted_;
    const GgufLimits& limits_;
    std::uint64_t size_;
    bool may_guess_;
    std::uint64_t pairs_left_ = 0;
    std::uint64_t data_end_ = 0;  ///< of the tensor that ends last, from data_offset
    bool sizes_known_ = true;
    std::array<std::uint64_t, 64> bytes_by_type_{};
    GgufHeader header_;
};

}  // namespace

const GgufValue* GgufHeader::find(std::string_view key) const {
    const auto found = values.find(key);
    return found == values.end() ? nullptr : &found->second;
}

Result<GgufHeader> parse_gguf(ByteSource& source, const GgufKeyFilter& wanted,
                              const GgufLimits& limits, const GgufTensorFilter& wanted_tensor) {
    const GgufKeyFilter filter = [&](std::string_view key) {
        return key == "general.alignment" || wanted(key);
    };
    const Wanted all{filter, wanted_tensor, limits};
    Parser parser(source, all, true);
    Result<GgufHeader> header = parser.run();
    if (!header && parser.has_guessed()) {
        header = Parser(source, all, false).run();
    }
    return header;
}

}  // namespace corral
