/* SPDX-License-Identifier: Apache-2.0
 *
 * One line at a time; every entry has a line of its own, as the format says.
 */
#include "matmul/mtx.h"

#include <string.h>

#include "matmul/checked.h"
#include "matmul/decimal.h"

/* The format's own bound is 1024. No longer line is looked through. */
#define MOST_LINE_BYTES 65536

typedef struct reader {
  const char *at;
  const char *end;
  uint64_t line_number; /* of `line` */
  const char *line;
  const char *line_end;
  const char *pause; /* where next_line stops, once no entry has come until there; NULL: nowhere */
  bool paused;
  bool too_long; /* a line is */
  tess_reason *reason;
} reader;

typedef struct word {
  const char *text;
  size_t size;
} word;

static bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static void read_line(reader *r) {
  const size_t left = (size_t)(r->end - r->at);
  const char *newline = memchr(r->at, '\n', left < MOST_LINE_BYTES ? left : MOST_LINE_BYTES);
  r->too_long = newline == NULL && left > MOST_LINE_BYTES;
  r->line = r->at;
  r->line_end = newline ? newline : r->end;
  r->at = newline ? newline + 1 : r->end;
  ++r->line_number;
}

/* Next line with something on it that is no comment. */
static bool next_line(reader *r) {
  while (r->at < r->end) {
    r->paused = r->pause != NULL && r->at >= r->pause;
    if (r->paused) return false;
    read_line(r);
    if (r->too_long) return false;
    while (r->line < r->line_end && is_space(*r->line))
      ++r->line;
    if (r->line < r->line_end && *r->line != '%') return true;
  }
  return false;
}

static bool next_word(reader *r, word *out) {
  while (r->line < r->line_end && is_space(*r->line))
    ++r->line;
  out->text = r->line;
  while (r->line < r->line_end && !is_space(*r->line))
    ++r->line;
  out->size = (size_t)(r->line - out->text);
  return out->size > 0;
}

static tess_code refuse_code(reader *r, tess_code code, const char *what) {
  if (r->too_long) what = "it is longer than 65536 bytes";
  return tess_reason_set(r->reason, code, "line %U of the .mtx file: %s", r->line_number, what);
}

static tess_code refuse(reader *r, const char *what) {
  return refuse_code(r, TESS_INVALID_ARGUMENT, what);
}

static bool is_word(word w, const char *name) {
  if (strlen(name) != w.size) return false;
  for (size_t i = 0; i < w.size; ++i) {
    char c = w.text[i] >= 'A' && w.text[i] <= 'Z' ? (char)(w.text[i] + 32) : w.text[i];
    if (c != name[i]) return false;
  }
  return true;
}

/* ---- the first line and the sizes ---- */

static tess_code read_banner(reader *r, tess_mtx_info *info) {
  word banner, object, format, field, symmetry, extra;
  read_line(r);
  if (!next_word(r, &banner) || !is_word(banner, "%%matrixmarket")) {
    return refuse(r, "it does not begin with %%MatrixMarket");
  }
  if (!next_word(r, &object) || !next_word(r, &format) || !next_word(r, &field) ||
      !next_word(r, &symmetry) || next_word(r, &extra)) {
    return refuse(r, "expected %%MatrixMarket matrix FORMAT FIELD SYMMETRY");
  }
  if (!is_word(object, "matrix")) return refuse(r, "the object is no matrix");
  info->coordinate = is_word(format, "coordinate");
  if (!info->coordinate && !is_word(format, "array")) {
    return refuse(r, "the format is neither array nor coordinate");
  }
  if (is_word(field, "real") || is_word(field, "double")) {
    info->field = TESS_MTX_REAL;
  } else if (is_word(field, "integer")) {
    info->field = TESS_MTX_INTEGER;
  } else if (is_word(field, "pattern") && info->coordinate) {
    info->field = TESS_MTX_PATTERN;
  } else if (is_word(field, "complex")) {
    return refuse_code(r, TESS_UNIMPLEMENTED, "complex numbers are not read");
  } else {
    return refuse(r, "the field is not real, integer or (with coordinate) pattern");
  }
  if (is_word(symmetry, "general")) {
    info->symmetry = TESS_MTX_GENERAL;
  } else if (is_word(symmetry, "symmetric")) {
    info->symmetry = TESS_MTX_SYMMETRIC;
  } else if (is_word(symmetry, "skew-symmetric") && info->field != TESS_MTX_PATTERN) {
    info->symmetry = TESS_MTX_SKEW;
  } else if (is_word(symmetry, "hermitian")) {
    return refuse_code(r, TESS_UNIMPLEMENTED, "hermitian matrices are not read");
  } else {
    return refuse(r, "the symmetry is not general, symmetric or skew-symmetric");
  }
  return TESS_OK;
}

/* Digits alone; saturates. */
static bool parse_count(word w, uint64_t *value) {
  *value = 0;
  for (size_t i = 0; i < w.size; ++i) {
    if (w.text[i] < '0' || w.text[i] > '9') return false;
    *value = tess__add_u64(tess__mul_u64(*value, 10), (uint64_t)(w.text[i] - '0'));
  }
  return w.size > 0;
}

static uint64_t array_entries(const tess_mtx_info *info) {
  uint64_t rows = info->rows, cols = info->cols;
  if (info->symmetry == TESS_MTX_GENERAL) return rows * cols;
  uint64_t more = info->symmetry == TESS_MTX_SYMMETRIC ? rows + 1 : rows - 1;
  if (rows == 0) return 0;
  return rows % 2 == 0 ? rows / 2 * more : more / 2 * rows;
}

static tess_code read_sizes(reader *r, tess_mtx_info *info) {
  word rows_word, cols_word, entries_word = {NULL, 0}, extra;
  uint64_t rows, cols;
  if (!next_line(r)) return refuse(r, "the line with the sizes is missing");
  bool complete = next_word(r, &rows_word) && next_word(r, &cols_word) &&
                  (!info->coordinate || next_word(r, &entries_word)) && !next_word(r, &extra);
  if (!complete) {
    return refuse(r, info->coordinate ? "expected ROWS COLUMNS ENTRIES" : "expected ROWS COLUMNS");
  }
  if (!parse_count(rows_word, &rows) || !parse_count(cols_word, &cols) ||
      (info->coordinate && !parse_count(entries_word, &info->entries))) {
    return refuse(r, "a size is no number of at least 0");
  }
  if (rows > UINT32_MAX || cols > UINT32_MAX ||
      !tess_matrix_byte_count((uint32_t)rows, (uint32_t)cols, info->dtype, &info->dense_bytes)) {
    return refuse_code(r, TESS_RESOURCE_EXHAUSTED, "the matrix is larger than any memory");
  }
  info->rows = (uint32_t)rows;
  info->cols = (uint32_t)cols;
  if (info->symmetry != TESS_MTX_GENERAL && rows != cols) {
    return refuse(r, "a symmetric matrix is square");
  }
  if (!info->coordinate) info->entries = array_entries(info);
  /* "1\n", "1 1\n", "1 1 1\n"; the last newline may be missing. */
  uint64_t least = !info->coordinate ? 2 : info->field == TESS_MTX_PATTERN ? 4 : 6;
  if (info->entries > ((uint64_t)(r->end - r->at) + 1) / least) {
    return refuse(r, "it claims more entries than the file can hold");
  }
  return TESS_OK;
}

tess_code tess_mtx_read_header(const void *bytes, size_t size, tess_dtype dtype,
                               tess_mtx_info *info, tess_reason *reason) {
  const char *text = size > 0 ? bytes : "";
  reader r = {.at = text, .end = text + size, .reason = reason};
  *info = (tess_mtx_info){.dtype = dtype};
  if (dtype != TESS_DTYPE_FLOAT32 && dtype != TESS_DTYPE_FLOAT64) {
    return tess_reason_set(reason, TESS_UNIMPLEMENTED,
                           "a .mtx file is read as float32 or float64 alone");
  }
  tess_code code = read_banner(&r, info);
  if (code == TESS_OK) code = read_sizes(&r, info);
  info->data_offset = (size_t)(r.at - text);
  return code;
}

/* ---- the entries ---- */

static bool is_integer(word w) {
  size_t i = w.size > 0 && (w.text[0] == '-' || w.text[0] == '+');
  if (i == w.size) return false;
  for (; i < w.size; ++i) {
    if (w.text[i] < '0' || w.text[i] > '9') return false;
  }
  return true;
}

static tess_code read_value(reader *r, const tess_mtx_info *info, double *value) {
  word w;
  if (info->field == TESS_MTX_PATTERN) {
    *value = 1.0;
    return TESS_OK;
  }
  if (!next_word(r, &w)) return refuse(r, "a value is missing");
  if (info->field == TESS_MTX_INTEGER && !is_integer(w)) return refuse(r, "not an integer");
  switch (tess_decimal_parse(w.text, w.size, value)) {
    case TESS_DECIMAL_INVALID:
      return refuse(r, "not a number");
    case TESS_DECIMAL_OVERFLOW:
      return refuse(r, "a number too large for float64");
    case TESS_DECIMAL_OK:
      break;
  }
  if (info->dtype == TESS_DTYPE_FLOAT32 && *value - *value == 0.0) {
    float narrow = (float)*value;
    if (narrow - narrow != 0.0f) return refuse(r, "a number too large for float32");
  }
  return TESS_OK;
}

static tess_code read_index(reader *r, uint32_t limit, uint32_t *index) {
  word w;
  uint64_t value;
  if (!next_word(r, &w) || !parse_count(w, &value)) return refuse(r, "expected ROW COLUMN VALUE");
  if (value < 1 || value > limit) return refuse(r, "an index is out of bounds");
  *index = (uint32_t)(value - 1);
  return TESS_OK;
}

static void add_to(tess_matrix to, uint32_t row, uint32_t col, double value) {
  tess_matrix_set(to, row, col, tess_matrix_get(tess_matrix_as_const(to), row, col) + value);
}

static tess_code check_place(reader *r, const tess_mtx_info *info, uint32_t row, uint32_t col) {
  if (info->symmetry == TESS_MTX_GENERAL) return TESS_OK;
  if (row < col) return refuse(r, "an entry above the diagonal of a symmetric matrix");
  if (info->symmetry == TESS_MTX_SKEW && row == col) {
    return refuse(r, "an entry on the diagonal of a skew-symmetric matrix");
  }
  return TESS_OK;
}

/* The place after (row, col) in column-major order, below the diagonal where the
 * matrix is symmetric. */
static void advance(const tess_mtx_info *info, uint32_t *row, uint32_t *col) {
  if (++*row < info->rows) return;
  ++*col;
  *row = info->symmetry == TESS_MTX_GENERAL     ? 0
         : info->symmetry == TESS_MTX_SYMMETRIC ? *col
                                                : *col + 1;
}

void tess_mtx_begin(tess_mtx_cursor *cursor, const void *bytes, size_t size,
                    const tess_mtx_info *info) {
  const char *text = size > 0 ? bytes : "";
  *cursor = (tess_mtx_cursor){.text = text,
                              .size = size,
                              .offset = info->data_offset,
                              .entries_left = info->entries,
                              .info = info,
                              .row = info->symmetry == TESS_MTX_SKEW ? 1 : 0};
  for (size_t i = 0; i < info->data_offset; ++i)
    cursor->line_number += text[i] == '\n';
}

static tess_code read_entry(reader *r, tess_mtx_cursor *cursor, tess_mtx_entry *entry) {
  const tess_mtx_info *info = cursor->info;
  word extra;
  tess_code code;
  const bool more = next_line(r);
  if (r->paused) return TESS_LATER;
  if (cursor->entries_left == 0)
    return more || r->too_long ? refuse(r, "more entries than the file announced") : TESS_END;
  if (!more) return refuse(r, "the file ends before its last entry");
  if (info->coordinate) {
    if ((code = read_index(r, info->rows, &entry->row)) != TESS_OK) return code;
    if ((code = read_index(r, info->cols, &entry->col)) != TESS_OK) return code;
    if ((code = check_place(r, info, entry->row, entry->col)) != TESS_OK) return code;
  } else {
    entry->row = cursor->row;
    entry->col = cursor->col;
    advance(info, &cursor->row, &cursor->col);
  }
  if ((code = read_value(r, info, &entry->value)) != TESS_OK) return code;
  if (next_word(r, &extra)) return refuse(r, "something stands behind the entry");
  --cursor->entries_left;
  return TESS_OK;
}

tess_code tess_mtx_next(tess_mtx_cursor *cursor, tess_mtx_entry *entry, tess_reason *reason) {
  reader r = {.at = cursor->text + cursor->offset,
              .end = cursor->text + cursor->size,
              .line_number = cursor->line_number,
              .reason = reason};
  if ((size_t)(r.end - r.at) > TESS_MTX_PAUSE_BYTES) r.pause = r.at + TESS_MTX_PAUSE_BYTES;
  tess_code code = read_entry(&r, cursor, entry);
  cursor->offset = (size_t)(r.at - cursor->text);
  cursor->line_number = r.line_number;
  return code;
}

void tess_mtx_add(const tess_mtx_info *info, const tess_mtx_entry *entry, tess_tile part,
                  tess_matrix to) {
  /* What lies before the part wraps, and is no less than its size. */
  uint32_t row = entry->row - part.row, col = entry->col - part.col;
  if (row < part.rows && col < part.cols) add_to(to, row, col, entry->value);
  if (info->symmetry == TESS_MTX_GENERAL || entry->row == entry->col) return;
  row = entry->col - part.row;
  col = entry->row - part.col;
  if (row < part.rows && col < part.cols)
    add_to(to, row, col, info->symmetry == TESS_MTX_SKEW ? -entry->value : entry->value);
}

static void clear(tess_matrix to) {
  size_t size = tess_dtype_size(to.dtype);
  for (uint32_t row = 0; row < to.rows && to.cols > 0; ++row) {
    memset((unsigned char *)to.data + row * to.row_stride * size, 0, to.cols * size);
  }
}

tess_code tess_mtx_read(const void *bytes, size_t size, const tess_mtx_info *info, tess_matrix to,
                        tess_reason *reason) {
  const tess_tile whole = {0, 0, info->rows, info->cols};
  tess_mtx_cursor cursor;
  tess_mtx_entry entry;
  tess_code code;
  if (to.rows != info->rows || to.cols != info->cols || to.dtype != info->dtype) {
    return tess_reason_set(reason, TESS_INVALID_ARGUMENT, "the matrix has another shape or dtype");
  }
  clear(to);
  tess_mtx_begin(&cursor, bytes, size, info);
  while ((code = tess_mtx_next(&cursor, &entry, reason)) == TESS_OK || code == TESS_LATER)
    if (code == TESS_OK) tess_mtx_add(info, &entry, whole, to);
  return code == TESS_END ? TESS_OK : code;
}

/* ---- writing ---- */

size_t tess_mtx_write_header(uint32_t rows, uint32_t cols, char text[TESS_MTX_HEADER_MAX]) {
  tess_reason line;
  tess_reason_set(&line, TESS_OK, "%%%%MatrixMarket matrix array real general\n%u %u\n", rows,
                  cols);
  size_t size = strlen(line.text);
  memcpy(text, line.text, size); /* 42 bytes and two numbers of at most 10 digits */
  return size;
}

size_t tess_mtx_write_number(double value, tess_dtype dtype, char text[TESS_MTX_NUMBER_MAX]) {
  if (dtype != TESS_DTYPE_FLOAT32 && dtype != TESS_DTYPE_FLOAT64) return 0;
  size_t size = tess_decimal_write(value, dtype == TESS_DTYPE_FLOAT32 ? 9 : 17, text);
  text[size++] = '\n';
  return size;
}
