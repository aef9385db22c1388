/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/json_out.h"

#include <math.h>
#include <string.h>

#include <yajl/yajl_gen.h>

#include "rpc/json_output.h"

/* Above it a double has no units. */
#define MAX_WHOLE 9007199254740992.0
#define MAX_NUMBER_BYTES 64

static const char no_json[] = "yajl does not write it";

/* ---- yajl's memory ----
 * It does not look whether it got what it asked for. Writing through a callback, it
 * asks for a handle and an empty buffer, some 600 bytes, and for nothing later. */

static void *take(void *ctx, size_t size) {
  cli_json *json = ctx;
  const size_t rounded =
      (size + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
  if (rounded < size || rounded > sizeof json->memory - json->used) return NULL;
  void *piece = json->memory + json->used;
  json->used += rounded;
  return piece;
}

static void *take_more(void *ctx, void *ptr, size_t size) {
  (void)ctx, (void)ptr, (void)size;
  return NULL;
}

static void give_back(void *ctx, void *ptr) {
  (void)ctx, (void)ptr;
}

static void print(void *ctx, const char *text, size_t size) {
  tess__output_put(ctx, text, size);
}

/* ---- values ---- */

void cli_json_init(cli_json *json, size_t max_bytes) {
  *json = (cli_json){0};
  tess__output_init(&json->text, NULL, max_bytes);
  tess__output_init(&json->number, NULL, MAX_NUMBER_BYTES);
  json->gen = yajl_gen_alloc(&(yajl_alloc_funcs){take, take_more, give_back, json});
  if (json->gen == NULL ||
      !yajl_gen_config(json->gen, yajl_gen_print_callback, print, &json->text) ||
      !yajl_gen_config(json->gen, yajl_gen_validate_utf8, 1))
    json->wrong = no_json;
}

void cli_json_cleanup(cli_json *json) {
  if (json->gen != NULL) yajl_gen_free(json->gen);
  tess__output_cleanup(&json->number);
  tess__output_cleanup(&json->text);
}

static void check(cli_json *json, yajl_gen_status status) {
  if (status != yajl_gen_status_ok && json->wrong == NULL)
    json->wrong = status == yajl_gen_invalid_string ? "a text in it is not UTF-8" : no_json;
}

static void put_text(cli_json *json, const char *text) {
  if (json->wrong == NULL)
    check(json, yajl_gen_string(json->gen, (const unsigned char *)text, strlen(text)));
}

/* False: no value may follow. */
static bool put_name(cli_json *json, const char *name) {
  if (name != NULL) put_text(json, name);
  return json->wrong == NULL;
}

void cli_json_begin(cli_json *json, const char *name) {
  if (put_name(json, name)) check(json, yajl_gen_map_open(json->gen));
}

void cli_json_end(cli_json *json) {
  if (json->wrong == NULL) check(json, yajl_gen_map_close(json->gen));
}

void cli_json_begin_list(cli_json *json, const char *name) {
  if (put_name(json, name)) check(json, yajl_gen_array_open(json->gen));
}

void cli_json_end_list(cli_json *json) {
  if (json->wrong == NULL) check(json, yajl_gen_array_close(json->gen));
}

void cli_json_text(cli_json *json, const char *name, const char *text) {
  if (put_name(json, name)) put_text(json, text);
}

void cli_json_bool(cli_json *json, const char *name, bool value) {
  if (put_name(json, name)) check(json, yajl_gen_bool(json->gen, value));
}

/* What json->number holds. yajl's own numbers end at 2^63, and its doubles are written
 * with 20 digits and the locale's decimal point. */
static void put_number(cli_json *json, const char *name) {
  if (json->number.failed)
    json->text.failed = true;
  else if (put_name(json, name))
    check(json, yajl_gen_number(json->gen, (const char *)json->number.data, json->number.size));
  json->number.size = 0;
}

void cli_json_whole(cli_json *json, const char *name, uint64_t number) {
  tess__output_u64(&json->number, number);
  put_number(json, name);
}

void cli_json_known(cli_json *json, const char *name, double number) {
  if (!(number >= 0.0) || !isfinite(number)) {
    if (put_name(json, name)) check(json, yajl_gen_null(json->gen));
  } else if (number <= MAX_WHOLE && number == floor(number)) {
    cli_json_whole(json, name, (uint64_t)number);
  } else {
    tess__output_double(&json->number, number);
    put_number(json, name);
  }
}

tess_code cli_json_write(cli_json *json, FILE *to, tess_status *status) {
  tess__output_put(&json->text, "\n", 1);
  if (json->wrong != NULL)
    return tess_status_set(status, TESS_INVALID_ARGUMENT, "it cannot be told as JSON: %s",
                           json->wrong);
  if (json->text.failed)
    return tess_status_set(status, TESS_RESOURCE_EXHAUSTED,
                           "it cannot be told as JSON: no memory, or it is too long");
  if (fwrite(json->text.data, 1, json->text.size, to) == json->text.size && fflush(to) == 0)
    return TESS_OK;
  return tess_status_set(status, TESS_DATA_LOSS, "the output could not be written");
}
