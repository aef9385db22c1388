/* SPDX-License-Identifier: Apache-2.0
 *
 * matmul/sha256.h, once for each file that implements it. Expected digests: the
 * examples of FIPS 180-2 (appendix B), NIST's CAVP short messages, and coreutils'
 * sha256sum for the rest.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "matmul/sha256.h"
#include "tests/unit/run_case.h"

static void expect_digest(tess_sha256 *hash, const char *expected) {
  uint8_t digest[TESS_SHA256_BYTES];
  char text[2 * TESS_SHA256_BYTES + 1];
  ck_assert_int_eq(tess_sha256_finish(hash, digest), TESS_OK);
  for (size_t i = 0; i < sizeof digest; i++)
    snprintf(text + 2 * i, 3, "%02x", digest[i]);
  ck_assert_str_eq(text, expected);
}

static void expect_text(const char *message, const char *expected) {
  tess_sha256 hash;
  ck_assert_int_eq(tess_sha256_start(&hash), TESS_OK);
  tess_sha256_add(&hash, message, strlen(message));
  expect_digest(&hash, expected);
}

START_TEST(known_messages) {
  expect_text("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  expect_text("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  expect_text("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  expect_text("\xd3", "28969cdfa74a12c82f3bad960b0b000aca2ac329deea5c2328ebc6f2ba9802c1");
}
END_TEST

START_TEST(a_million_letters) {
  static char letters[1000];
  tess_sha256 hash;
  memset(letters, 'a', sizeof letters);
  ck_assert_int_eq(tess_sha256_start(&hash), TESS_OK);
  for (int i = 0; i < 1000; i++)
    tess_sha256_add(&hash, letters, sizeof letters);
  expect_digest(&hash, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}
END_TEST

/* Lengths around a block's end, in pieces of every length up to two blocks. */
START_TEST(pieces_make_no_difference) {
  static uint8_t bytes[300];
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (uint8_t)(i * 7 + 3);
  for (size_t size = 0; size < sizeof bytes; size++) {
    uint8_t whole[TESS_SHA256_BYTES], pieces[TESS_SHA256_BYTES];
    tess_sha256 hash;
    ck_assert_int_eq(tess_sha256_start(&hash), TESS_OK);
    tess_sha256_add(&hash, bytes, size);
    ck_assert_int_eq(tess_sha256_finish(&hash, whole), TESS_OK);
    size_t step = 1 + size % 129;
    ck_assert_int_eq(tess_sha256_start(&hash), TESS_OK);
    for (size_t at = 0; at < size; at += step)
      tess_sha256_add(&hash, bytes + at, at + step <= size ? step : size - at);
    ck_assert_int_eq(tess_sha256_finish(&hash, pieces), TESS_OK);
    ck_assert_mem_eq(whole, pieces, sizeof whole);
  }
}
END_TEST

START_TEST(lengths_around_a_block) {
  static const struct {
    size_t size;
    const char *expected;
  } cases[] = {
      {1, "594e519ae499312b29433b7dd8a97ff068defcba9755b6d5d00e84c524d67b06"},
      {55, "5a383411d906da80612f366cb9b90ae54bcf6e7743b4117ace0884d98cd159ca"},
      {56, "c66a5b692b9a20229733ef8b87cfec52679c86a0c0245643484c46d4dcd82afa"},
      {57, "f7e927f23e3effb6bca2c32a1f94410002a69d21c0b506541c2a08a595be512d"},
      {63, "85021e4907c21645631d596eee989bf43c2cd56b074175d5393804dbf1744412"},
      {64, "72996563049cc84daa2c3f31fd5c3d10770e69d6ebbb8da5b6d76db303dbae43"},
      {65, "57685f5e43ddac1567f4d404c357c44bab70744b8b6af6009760389170c5c062"},
      {119, "de05957e72aca438f9b0c770cb2ee7fa0e58e08eb54536478db136d54c097abb"},
      {120, "46a063da7dc0c878899dfc50adf2558256652c05dd1afc0b1341f7608c7a4776"},
      {127, "87cdeb380917879fcd4c3b869ad644cbc7cbc6ff36b989cd4fe0f8123c13ca19"},
      {128, "8169c725edd39f00140ffcf57c45b9c5143e2ffe375869e4cf2805342715d2b1"},
      {129, "be5aab1a91c510a74cf7010cf9aba7d181268d499d81386950d365263b182203"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char zeros[200];
    tess_sha256 hash;
    memset(zeros, 'z', sizeof zeros);
    ck_assert_int_eq(tess_sha256_start(&hash), TESS_OK);
    tess_sha256_add(&hash, zeros, cases[i].size);
    expect_digest(&hash, cases[i].expected);
  }
}
END_TEST

START_TEST(a_state_can_be_dropped) {
  tess_sha256 hash;
  ck_assert_int_eq(tess_sha256_start(&hash), TESS_OK);
  tess_sha256_add(&hash, "abc", 3);
  tess_sha256_drop(&hash);
}
END_TEST

int main(void) {
  return RUN_TESTS("sha256", 300, known_messages, a_million_letters, pieces_make_no_difference,
                   lengths_around_a_block, a_state_can_be_dropped);
}
