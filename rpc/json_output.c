/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/json_output.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/base64.h"
#include "rpc/json_number.h"
#include "rpc/json_scan.h"
#include "rpc/wire.h"

/* ---- protobuf ---- */

void tess__output_varint(tess__output *output, uint64_t value) {
  uint8_t bytes[10];
  tess__output_put(output, bytes, tess__wire_put_varint(bytes, value));
}

void tess__output_tag(tess__output *output, uint32_t number, int wire_type) {
  tess__output_varint(output, (uint64_t)number << 3 | (unsigned)wire_type);
}

void tess__output_fixed(tess__output *output, uint64_t value, unsigned bytes) {
  uint8_t little[8];
  for (unsigned i = 0; i < bytes; i++) {
    little[i] = (uint8_t)(value >> (8 * i));
  }
  tess__output_put(output, little, bytes);
}

size_t tess__output_begin(tess__output *output) {
  tess__output_put(output, "", 1); /* most lengths take one byte */
  return output->size;
}

void tess__output_end(tess__output *output, size_t begin) {
  if (output->failed) {
    return;
  }
  size_t size = output->size - begin, more = tess__wire_varint_size(size) - 1;
  if (more > 0) {
    if (tess__output_extend(output, more) == NULL) {
      return;
    }
    memmove(output->data + begin + more, output->data + begin, size);
  }
  tess__wire_put_varint(output->data + begin - 1, size);
}

/* ---- JSON ---- */

void tess__output_json_string(tess__output *output, const void *text, size_t size) {
  static const char hex[] = "0123456789abcdef";
  const uint8_t *at = text;
  tess__output_put(output, "\"", 1);
  for (;;) {
    size_t plain = tess__json_plain_run(at, size);
    if (plain > 0) tess__output_put(output, at, plain); /* text may be NULL */
    if (plain == size) break;
    uint8_t c = at[plain];
    const char *names = "\"\"\\\\\nn\rr\tt\bb\ff";
    while (*names != '\0' && (uint8_t)*names != c) {
      names += 2;
    }
    if (*names != '\0') {
      tess__output_put(output, (const char[]){'\\', names[1]}, 2);
    } else {
      tess__output_put(output, (const char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
    }
    at += plain + 1;
    size -= plain + 1;
  }
  tess__output_put(output, "\"", 1);
}

void tess__output_json_base64(tess__output *output, const void *data, size_t size) {
  /* JSON's base64 is padded. */
  size_t length = tess__base64_encoded_size(size);
  if (length > SIZE_MAX - 8) {
    output->failed = true;
    return;
  }
  tess__output_put(output, "\"", 1);
  uint8_t *to = tess__output_extend(output, length);
  if (to != NULL) {
    tess__base64_encode(TESS__BASE64_STANDARD, data, size, (char *)to);
  }
  tess__output_put(output, "==", (4 - length % 4) % 4);
  tess__output_put(output, "\"", 1);
}

void tess__output_u64(tess__output *output, uint64_t value) {
  char text[20];
  size_t at = sizeof text;
  do {
    text[--at] = (char)('0' + value % 10);
    value /= 10;
  } while (value > 0);
  tess__output_put(output, text + at, sizeof text - at);
}

void tess__output_i64(tess__output *output, int64_t value) {
  if (value < 0) {
    tess__output_put(output, "-", 1);
  }
  tess__output_u64(output, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

/* What no digits say. A reader that takes -0 for an integer would lose its sign. */
static bool put_special(tess__output *output, double value) {
  if (value == 0 && signbit(value)) {
    tess__output_text(output, "-0.0");
    return true;
  }
  if (!isnan(value) && !isinf(value)) {
    return false;
  }
  tess__output_text(output, isnan(value) ? "\"NaN\""
                            : value > 0  ? "\"Infinity\""
                                         : "\"-Infinity\"");
  return true;
}

/* printf writes the locale's decimal point, whatever its bytes are. */
static void put_number(tess__output *output, const char *text) {
  bool point = false;
  for (; *text != '\0'; text++) {
    bool usual = strchr("0123456789+-e", *text) != NULL;
    if (usual || !point) {
      tess__output_put(output, usual ? text : ".", 1);
    }
    point = !usual;
  }
}

void tess__output_double(tess__output *output, double value) {
  char text[40];
  if (put_special(output, value)) {
    return;
  }
  size_t size = tess__json_short_double(text, value);
  if (size > 0) {
    tess__output_put(output, text, size);
    return;
  }
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, value);
    if (strtod(text, NULL) == value) {
      break;
    }
  }
  put_number(output, text);
}

void tess__output_float(tess__output *output, float value) {
  char text[40];
  if (put_special(output, (double)value)) {
    return;
  }
  size_t size = tess__json_short_float(text, value);
  if (size > 0) {
    tess__output_put(output, text, size);
    return;
  }
  for (int digits = 6; digits <= 9; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, (double)value);
    if (strtof(text, NULL) == value) {
      break;
    }
  }
  put_number(output, text);
}
