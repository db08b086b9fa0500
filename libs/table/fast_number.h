// The common number: [-]digits[.digits], read in place. Everything else goes to ParseNumberAs.
#pragma once

#include <fast_float/fast_float.h>

#if defined(__SSE4_1__)
#include <immintrin.h>
#endif

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <string_view>

namespace vedette::table {

/// Readable bytes that FastNumber may touch behind the text.
inline constexpr size_t kNumberPadding = 16;

namespace fast_number_internal {

/// Powers of ten that are exact in double.
inline constexpr double kPowersOfTen[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                          1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
inline constexpr uint64_t kExactIntegers = 1ULL << 53;

inline bool IsDigit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

/// One digit at a time, for any length.
inline bool Scalar(const char* p, const char* end, char point, uint64_t* mantissa, int64_t* fraction) {
  const char* digits = p;
  uint64_t m = 0;
  while (p < end && IsDigit(*p)) m = m * 10 + static_cast<uint64_t>(*p++ - '0');
  int64_t count = p - digits;
  *fraction = 0;
  if (p < end && *p == point) {
    const char* start = ++p;
    while (p < end && IsDigit(*p)) m = m * 10 + static_cast<uint64_t>(*p++ - '0');
    *fraction = p - start;
    count += *fraction;
  }
  *mantissa = m;
  return p == end && count > 0 && count <= 19 && m <= kExactIntegers;
}

#if defined(__SSE4_1__)
/// Shuffles that take `length` characters without the one at `point` (16: none) to the right end of 16 bytes; the rest
/// becomes zero.
struct Shuffles {
  alignas(16) uint8_t lane[17][17][16];
};
constexpr Shuffles MakeShuffles() {
  Shuffles s{};
  for (int length = 0; length <= 16; ++length) {
    for (int point = 0; point <= 16; ++point) {
      const int digits = point < length ? length - 1 : length;
      for (int i = 0; i < 16; ++i) {
        const int from = i - (16 - digits);
        s.lane[length][point][i] = static_cast<uint8_t>(from < 0 ? 0x80 : from + (from >= point ? 1 : 0));
      }
    }
  }
  return s;
}
inline constexpr Shuffles kShuffles = MakeShuffles();

/// Up to 16 characters at once: classify, squeeze out the decimal mark, then multiply and add neighbours, so that 16 digits
/// become 8 numbers of two, 4 of four and 2 of eight digits.
inline bool Vector(const char* p, size_t length, char point, uint64_t* mantissa, int64_t* fraction) {
  const __m128i text = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  const __m128i digit = _mm_sub_epi8(text, _mm_set1_epi8('0'));
  const __m128i is_digit = _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit);
  const uint32_t used = (1U << length) - 1;
  const uint32_t digits = static_cast<uint32_t>(_mm_movemask_epi8(is_digit)) & used;
  const uint32_t others = digits ^ used;
  const uint32_t points = static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(text, _mm_set1_epi8(point)))) & used;
  if (digits == 0 || others != points || (others & (others - 1)) != 0) return false;
  const auto at = static_cast<size_t>(std::countr_zero(others | 0x10000));
  const __m128i order = _mm_load_si128(reinterpret_cast<const __m128i*>(kShuffles.lane[length][at]));
  const __m128i right = _mm_shuffle_epi8(digit, order);
  const __m128i two = _mm_maddubs_epi16(right, _mm_set1_epi16(0x010A));          // 10 a + b
  const __m128i four = _mm_madd_epi16(two, _mm_set1_epi32(0x00010064));          // 100 a + b
  const __m128i packed = _mm_packus_epi32(four, four);
  const __m128i eight = _mm_madd_epi16(packed, _mm_set1_epi32(0x00012710));      // 10000 a + b
  const auto both = static_cast<uint64_t>(_mm_cvtsi128_si64(eight));
  *mantissa = (both & 0xFFFFFFFF) * 100000000 + (both >> 32);
  *fraction = others == 0 ? 0 : static_cast<int64_t>(length - at - 1);
  return *mantissa <= kExactIntegers;
}
#endif

}  // namespace fast_number_internal

/// True when [begin, end) is a plain number with `point` as decimal mark, correctly rounded; false means: look more
/// closely. When the digits fit in 53 bits and the power of ten is exact, one division rounds correctly (Clinger, "How to
/// Read Floating Point Numbers Accurately", PLDI 1990); longer ones go to fast_float. kNumberPadding bytes behind `end`
/// must be readable.
inline bool FastNumber(const char* begin, const char* end, char point, double* value) {
  namespace in = fast_number_internal;
  if (begin == end) return false;
  const bool negative = *begin == '-';
  const char* p = begin + negative;
  const auto length = static_cast<size_t>(end - p);
  uint64_t mantissa = 0;
  int64_t fraction = 0;
#if defined(__SSE4_1__)
  const bool plain = length <= 16 ? in::Vector(p, length, point, &mantissa, &fraction) : in::Scalar(p, end, point, &mantissa, &fraction);
#else
  const bool plain = in::Scalar(p, end, point, &mantissa, &fraction);
#endif
  if (plain) {
    const double v = static_cast<double>(mantissa) / in::kPowersOfTen[fraction];
    *value = std::bit_cast<double>(std::bit_cast<uint64_t>(v) | static_cast<uint64_t>(negative) << 63);
    return true;
  }
  if (point != '.' || length < 2 || length > 64) return false;
  const auto [stop, error] = fast_float::from_chars(begin, end, *value);
  return error == std::errc() && stop == end && std::isfinite(*value);
}

/// What a plain number [-]digits[.digits] looks like; nothing is read beyond the text.
struct PlainShape {
  bool plain = false;
  size_t before = 0, after = 0;  ///< digits before and behind the point
  bool has_point = false;
};
inline PlainShape ShapeOf(std::string_view text) {
  PlainShape shape;
  size_t i = !text.empty() && text[0] == '-' ? 1 : 0;
  for (; i < text.size() && fast_number_internal::IsDigit(text[i]); ++i) ++shape.before;
  if (i < text.size() && text[i] == '.') {
    shape.has_point = true;
    for (++i; i < text.size() && fast_number_internal::IsDigit(text[i]); ++i) ++shape.after;
  }
  shape.plain = i == text.size() && shape.before > 0 && i < 300;
  return shape;
}

}  // namespace vedette::table
