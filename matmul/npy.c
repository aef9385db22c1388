/* SPDX-License-Identifier: Apache-2.0
 *
 * The header is a Python dict literal. It is read by a strict little parser: the
 * three keys, each once, in any order.
 */
#include "matmul/npy.h"

#include <string.h>

#include "matmul/checked.h"
#include "matmul/element.h"

static const unsigned char magic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
enum { MAX_DIMENSIONS = 32 };

typedef struct parser {
  const char *at;
  const char *end;
  tess_reason *reason;
} parser;

/* What the dict says. */
typedef struct dict {
  bool has_descr, has_order, has_shape;
  bool fortran_order;
  const char *descr;
  size_t descr_size;
  uint64_t shape[2];
  uint32_t dimensions;
  const char *shape_text; /* with its brackets */
  size_t shape_size;
} dict;

static tess_code malformed(parser *p, const char *what) {
  return tess_reason_set(p->reason, TESS_INVALID_ARGUMENT, "malformed .npy header: %s", what);
}

static void skip_space(parser *p) {
  while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r')) {
    ++p->at;
  }
}

/* Takes one character, after white space. */
static bool take(parser *p, char wanted) {
  skip_space(p);
  if (p->at == p->end || *p->at != wanted) return false;
  ++p->at;
  return true;
}

static bool take_word(parser *p, const char *word) {
  size_t size = strlen(word);
  skip_space(p);
  if ((size_t)(p->end - p->at) < size || memcmp(p->at, word, size) != 0) return false;
  p->at += size;
  return true;
}

/* A string in single or double quotes, without escapes. */
static bool take_string(parser *p, const char **text, size_t *size) {
  skip_space(p);
  if (p->at == p->end || (*p->at != '\'' && *p->at != '"')) return false;
  char quote = *p->at++;
  const char *begin = p->at;
  while (p->at < p->end && *p->at != quote && *p->at != '\\')
    ++p->at;
  if (p->at == p->end || *p->at != quote) return false;
  *text = begin;
  *size = (size_t)(p->at++ - begin);
  return true;
}

static tess_code parse_dimension(parser *p, uint64_t *value) {
  skip_space(p);
  const char *begin = p->at;
  uint64_t number = 0;
  while (p->at < p->end && *p->at >= '0' && *p->at <= '9') {
    number = tess__add_u64(tess__mul_u64(number, 10), (uint64_t)(*p->at++ - '0'));
  }
  if (p->at == begin) {
    size_t some = (size_t)(p->end - p->at) < 12 ? (size_t)(p->end - p->at) : 12;
    tess_reason_set(p->reason, TESS_INVALID_ARGUMENT,
                    "a dimension of the .npy file is no number of at least 0: ");
    tess_reason_add_bytes(p->reason, p->at, some);
    return TESS_INVALID_ARGUMENT;
  }
  if (p->at < p->end && *p->at == 'L') ++p->at; /* as Python 2 wrote long integers */
  *value = number;
  return TESS_OK;
}

static tess_code parse_shape(parser *p, dict *d) {
  bool comma = true;
  if (!take(p, '(')) return malformed(p, "the shape is no tuple");
  d->shape_text = p->at - 1;
  while (!take(p, ')')) {
    uint64_t value;
    if (!comma) return malformed(p, "a comma is missing in the shape");
    tess_code code = parse_dimension(p, &value);
    if (code != TESS_OK) return code;
    if (d->dimensions == MAX_DIMENSIONS) return malformed(p, "too many dimensions");
    if (d->dimensions < 2) d->shape[d->dimensions] = value;
    ++d->dimensions;
    comma = take(p, ',');
  }
  d->shape_size = (size_t)(p->at - d->shape_text);
  if (d->dimensions == 1 && !comma) return malformed(p, "the shape is no tuple");
  return TESS_OK;
}

static tess_code parse_entry(parser *p, dict *d) {
  const char *key;
  size_t size;
  if (!take_string(p, &key, &size)) return malformed(p, "a key is no string");
  if (!take(p, ':')) return malformed(p, "a colon is missing");
  if (size == 5 && memcmp(key, "descr", 5) == 0 && !d->has_descr) {
    d->has_descr = true;
    if (take_string(p, &d->descr, &d->descr_size)) return TESS_OK;
    skip_space(p);
    if (p->at < p->end && (*p->at == '[' || *p->at == '(')) {
      return tess_reason_set(p->reason, TESS_UNIMPLEMENTED,
                             "the .npy file holds records; only float32 and float64 are read");
    }
    return malformed(p, "the descr is no string");
  }
  if (size == 13 && memcmp(key, "fortran_order", 13) == 0 && !d->has_order) {
    d->has_order = true;
    d->fortran_order = take_word(p, "True");
    if (d->fortran_order || take_word(p, "False")) return TESS_OK;
    return malformed(p, "fortran_order is neither True nor False");
  }
  if (size == 5 && memcmp(key, "shape", 5) == 0 && !d->has_shape) {
    d->has_shape = true;
    return parse_shape(p, d);
  }
  return malformed(p, "a key is unknown or stands there twice");
}

static tess_code parse_dict(parser *p, dict *d) {
  bool comma = true;
  if (!take(p, '{')) return malformed(p, "it is no dict");
  while (!take(p, '}')) {
    if (!comma) return malformed(p, "a comma is missing");
    tess_code code = parse_entry(p, d);
    if (code != TESS_OK) return code;
    comma = take(p, ',');
  }
  skip_space(p);
  if (p->at != p->end) return malformed(p, "something stands behind the dict");
  if (!d->has_descr || !d->has_order || !d->has_shape) return malformed(p, "a key is missing");
  return TESS_OK;
}

static tess_code read_descr(const dict *d, tess_npy_info *info, tess_reason *reason) {
  const char *text = d->descr;
  bool known = d->descr_size == 3 && text[1] == 'f' && (text[2] == '4' || text[2] == '8') &&
               (text[0] == '<' || text[0] == '>' || text[0] == '=');
  if (!known) {
    tess_reason_set(reason, TESS_UNIMPLEMENTED,
                    "only float32 and float64 ('<f4', '>f8', ...) are read; the .npy file holds ");
    tess_reason_add_bytes(reason, text, d->descr_size);
    return TESS_UNIMPLEMENTED;
  }
  info->dtype = text[2] == '4' ? TESS_DTYPE_FLOAT32 : TESS_DTYPE_FLOAT64;
  info->big_endian = text[0] == '>';
  return TESS_OK;
}

static tess_code read_shape(const dict *d, tess_npy_info *info, tess_reason *reason) {
  uint64_t rows = d->dimensions == 2 ? d->shape[0] : 1;
  uint64_t cols = d->dimensions == 2 ? d->shape[1] : d->shape[0];
  if (d->dimensions != 1 && d->dimensions != 2) {
    return tess_reason_set(reason, TESS_UNIMPLEMENTED,
                           "the .npy file has %u dimensions; a matrix has 2 (or 1: a row)",
                           d->dimensions);
  }
  if (rows > UINT32_MAX || cols > UINT32_MAX ||
      !tess_matrix_byte_count((uint32_t)rows, (uint32_t)cols, info->dtype, &info->data_bytes) ||
      info->data_bytes > PTRDIFF_MAX - info->data_offset) {
    const size_t most = sizeof reason->text / 2;
    tess_reason_set(reason, TESS_RESOURCE_EXHAUSTED, "the .npy file's shape, ");
    tess_reason_add_bytes(reason, d->shape_text, d->shape_size < most ? d->shape_size : most);
    tess_reason_add(reason, ", is larger than any memory");
    return TESS_RESOURCE_EXHAUSTED;
  }
  info->rows = (uint32_t)rows;
  info->cols = (uint32_t)cols;
  info->one_dimensional = d->dimensions == 1;
  info->fortran_order = d->fortran_order && !info->one_dimensional;
  return TESS_OK;
}

/* Bytes before and of the dict, once `size` bytes show them. */
static tess_code measure_header(const unsigned char *bytes, size_t size, size_t *prefix,
                                size_t *header, tess_reason *reason) {
  size_t seen = size < sizeof magic ? size : sizeof magic;
  if (memcmp(bytes, magic, seen) != 0) {
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT,
                           "not a .npy file: it does not begin with \\x93NUMPY");
  }
  if (size < 8) return TESS_LATER;
  if (bytes[6] < 1 || bytes[6] > 3 || bytes[7] != 0) {
    return tess_reason_set(reason, TESS_UNIMPLEMENTED, ".npy version %u.%u is not known",
                           (uint32_t)bytes[6], (uint32_t)bytes[7]);
  }
  *prefix = bytes[6] == 1 ? 10 : 12;
  if (size < *prefix) return TESS_LATER;
  uint32_t length = *prefix == 10 ? bytes[8] | (uint32_t)bytes[9] << 8 : tess__load_u32(bytes + 8);
  if (length > TESS_NPY_MAX_HEADER_BYTES - *prefix) {
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT,
                           "the .npy header claims %u bytes; at most %u are read", length,
                           TESS_NPY_MAX_HEADER_BYTES);
  }
  *header = length;
  return size - *prefix < length ? TESS_LATER : TESS_OK;
}

tess_code tess_npy_read_header(const void *bytes, size_t size, tess_npy_info *info,
                               tess_reason *reason) {
  size_t prefix = 0, header = 0;
  dict d = {0};
  *info = (tess_npy_info){0};
  if (size == 0) return TESS_LATER;
  tess_code code = measure_header(bytes, size, &prefix, &header, reason);
  if (code != TESS_OK) return code;
  const char *text = (const char *)bytes + prefix;
  parser p = {text, text + header, reason};
  if ((code = parse_dict(&p, &d)) != TESS_OK) return code;
  info->data_offset = prefix + header;
  if ((code = read_descr(&d, info, reason)) != TESS_OK) return code;
  return read_shape(&d, info, reason);
}

tess_code tess_npy_check_size(const tess_npy_info *info, uint64_t file_bytes, tess_reason *reason) {
  uint64_t wanted = (uint64_t)info->data_offset + info->data_bytes;
  if (file_bytes == wanted) return TESS_OK;
  return tess_reason_set(reason, TESS_INVALID_ARGUMENT,
                         "the .npy file is %s: %ux%u of %s make %U bytes, and there are %U",
                         file_bytes < wanted ? "truncated" : "too long", info->rows, info->cols,
                         tess_dtype_name(info->dtype), wanted, file_bytes);
}

tess_code tess_npy_parse(const void *bytes, size_t size, tess_npy_info *info, tess_reason *reason) {
  tess_code code = tess_npy_read_header(bytes, size, info, reason);
  if (code == TESS_LATER) {
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT,
                           "the .npy file is truncated: it ends within its header");
  }
  return code == TESS_OK ? tess_npy_check_size(info, size, reason) : code;
}

bool tess_npy_view(const tess_npy_info *info, const void *bytes, tess_const_matrix *view) {
  if (info->big_endian) return false;
  if (info->fortran_order && info->rows > 1 && info->cols > 1) return false;
  *view = tess_const_matrix_packed((const unsigned char *)bytes + info->data_offset, info->rows,
                                   info->cols, info->dtype);
  return true;
}

/* Reverses the bytes of each element, in place. */
static void swap_elements(tess_matrix matrix) {
  size_t size = tess_dtype_size(matrix.dtype);
  for (uint32_t i = 0; i < matrix.rows; ++i) {
    unsigned char *at = (unsigned char *)matrix.data + i * matrix.row_stride * size;
    for (uint32_t j = 0; j < matrix.cols; ++j, at += size) {
      if (size == 4) {
        tess__store_u32(at, __builtin_bswap32(tess__load_u32(at)));
      } else {
        tess__store_u64(at, __builtin_bswap64(tess__load_u64(at)));
      }
    }
  }
}

tess_code tess_npy_convert(const tess_npy_info *info, const void *bytes, tess_matrix to) {
  const unsigned char *data = (const unsigned char *)bytes + info->data_offset;
  if (to.rows != info->rows || to.cols != info->cols || to.dtype != info->dtype) {
    return TESS_INVALID_ARGUMENT;
  }
  tess_code code;
  if (info->fortran_order) {
    /* Column by column is the transpose, row by row. */
    code = tess_matrix_transpose(
        to, tess_const_matrix_packed(data, info->cols, info->rows, info->dtype));
  } else {
    code =
        tess_matrix_copy(to, tess_const_matrix_packed(data, info->rows, info->cols, info->dtype));
  }
  if (code == TESS_OK && info->big_endian) swap_elements(to);
  return code;
}

tess_code tess_npy_write_header(uint32_t rows, uint32_t cols, tess_dtype dtype,
                                uint8_t header[TESS_NPY_HEADER_BYTES]) {
  tess_reason text; /* long enough for the dict with the largest numbers */
  _Static_assert(sizeof text.text > TESS_NPY_HEADER_BYTES, "the dict is built in a tess_reason");
  if (dtype != TESS_DTYPE_FLOAT32 && dtype != TESS_DTYPE_FLOAT64) return TESS_UNIMPLEMENTED;
  tess_reason_set(&text, TESS_OK, "{'descr': '<f%s', 'fortran_order': False, 'shape': (%u, %u), }",
                  dtype == TESS_DTYPE_FLOAT32 ? "4" : "8", rows, cols);
  size_t size = strlen(text.text);
  memset(header, ' ', TESS_NPY_HEADER_BYTES);
  memcpy(header, magic, sizeof magic);
  header[6] = 1;
  header[7] = 0;
  header[8] = TESS_NPY_HEADER_BYTES - 10;
  header[9] = 0;
  memcpy(header + 10, text.text, size);
  header[TESS_NPY_HEADER_BYTES - 1] = '\n';
  return TESS_OK;
}
