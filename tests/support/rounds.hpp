#pragma once
// How many rounds a test with random input takes. A sanitizer makes each ten to twenty times
// slower, and it looks for what the program does with memory, not for rare inputs: it gets a tenth.

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CORRAL_TEST_IS_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define CORRAL_TEST_IS_SANITIZED 1
#endif

namespace corral::test {

#if defined(CORRAL_TEST_IS_SANITIZED)
inline constexpr int divisor = 10;
#else
inline constexpr int divisor = 1;
#endif

/// `usual`, or a tenth of it.
constexpr int rounds(int usual) noexcept {
    return usual / divisor;
}

}  // namespace corral::test
