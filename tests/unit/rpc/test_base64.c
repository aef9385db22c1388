/* SPDX-License-Identifier: Apache-2.0
 *
 * Base64 against the vectors of RFC 4648, section 10, and what must be refused.
 */
#include "tests/unit/run_case.h"

#include "rpc/base64.h"

#include <string.h>

static const struct {
  const char *plain, *padded;
} vectors[] = {{"", ""},
               {"f", "Zg=="},
               {"fo", "Zm8="},
               {"foo", "Zm9v"},
               {"foob", "Zm9vYg=="},
               {"fooba", "Zm9vYmE="},
               {"foobar", "Zm9vYmFy"}};

START_TEST(rfc_vectors) {
  for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
    size_t plain_size = strlen(vectors[i].plain), padded_size = strlen(vectors[i].padded);
    size_t unpadded = padded_size;
    while (unpadded > 0 && vectors[i].padded[unpadded - 1] == '=')
      unpadded--;
    char text[16];
    uint8_t bytes[16];
    size_t size;
    ck_assert_uint_eq(tess__base64_encoded_size(plain_size), unpadded);
    tess__base64_encode(TESS__BASE64_STANDARD, (const uint8_t *)vectors[i].plain, plain_size, text);
    ck_assert_mem_eq(text, vectors[i].padded, unpadded);
    for (int padded = 0; padded < 2; padded++) {
      size_t text_size = padded ? padded_size : unpadded;
      ck_assert_uint_ge(tess__base64_decoded_room(text_size), plain_size);
      ck_assert(
          tess__base64_decode(TESS__BASE64_STANDARD, vectors[i].padded, text_size, bytes, &size));
      ck_assert_uint_eq(size, plain_size);
      ck_assert_mem_eq(bytes, vectors[i].plain, size);
    }
  }
}
END_TEST

START_TEST(alphabets) {
  static const uint8_t bytes[] = {0xfb, 0xff, 0xbf};
  char text[4];
  uint8_t back[6];
  size_t size;
  tess__base64_encode(TESS__BASE64_STANDARD, bytes, 3, text);
  ck_assert_mem_eq(text, "+/+/", 4);
  tess__base64_encode(TESS__BASE64_URL, bytes, 3, text);
  ck_assert_mem_eq(text, "-_-_", 4);
  ck_assert(tess__base64_decode(TESS__BASE64_URL, "-_-_", 4, back, &size));
  ck_assert_mem_eq(back, bytes, 3);
  ck_assert(!tess__base64_decode(TESS__BASE64_STANDARD, "-_-_", 4, back, &size));
  ck_assert(!tess__base64_decode(TESS__BASE64_URL, "+/+/", 4, back, &size));
}
END_TEST

START_TEST(refused) {
  static const char *const bad[] = {
      "A",    "AAAAA", "A===", "=",   "==",    "AA=",  "AAA==", "AA=A",   "A A=",
      "AB==", "AAB=",  "AB",   "AAB", "AA\n=", "====", "AAAA=", "AAAA==", "\xff\xff\xff\xff"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    uint8_t out[16];
    size_t size;
    ck_assert_msg(!tess__base64_decode(TESS__BASE64_STANDARD, bad[i], strlen(bad[i]), out, &size),
                  "%s", bad[i]);
  }
}
END_TEST

START_TEST(in_place) {
  uint8_t text[] = "Zm9vYmFy";
  size_t size;
  ck_assert(tess__base64_decode(TESS__BASE64_STANDARD, (const char *)text, 8, text, &size));
  ck_assert_uint_eq(size, 6);
  ck_assert_mem_eq(text, "foobar", 6);
}
END_TEST

int main(void) {
  return RUN_TESTS("base64", 60, rfc_vectors, alphabets, refused, in_place);
}
