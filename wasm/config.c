/* SPDX-License-Identifier: Apache-2.0
 *
 * See config.h.
 */
#include "wasm/config.h"

#include <string.h>

#define DEFAULT_MAX_MESSAGE_BYTES ((uint64_t)512 << 20)
#define DEFAULT_MAX_INFLIGHT_BYTES ((uint64_t)1536 << 20)
#define DEFAULT_CACHE_BYTES ((uint64_t)512 << 20)
#define DEFAULT_THRESHOLD_MS 200.0
#define DEFAULT_TILE_TIMEOUT_MS 60000.0
/* Below this not even an error travels. */
#define MIN_MESSAGE_BYTES 1024u
#define MAX_MS 86400000u

typedef struct parser {
  tess_config *config;
  tess_arena *arena;
  tess_status *status;
  uint32_t worker_capacity;
} parser;

/* Decimal digits alone. */
static bool parse_number(const char *text, size_t size, uint64_t min, uint64_t max,
                         uint64_t *number) {
  uint64_t value = 0;
  if (size == 0 || size > 18) return false;
  for (size_t i = 0; i < size; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
    value = value * 10 + (uint64_t)(text[i] - '0');
  }
  *number = value;
  return value >= min && value <= max;
}

static bool set_mode(parser *p, const char *value, size_t size) {
  p->config->mode = tess_mode_from_name(value, size);
  return p->config->mode != TESS_MODE_UNSPECIFIED;
}

static bool set_max_message(parser *p, const char *value, size_t size) {
  return parse_number(value, size, MIN_MESSAGE_BYTES, UINT32_MAX, &p->config->max_message_bytes);
}

static bool set_max_inflight(parser *p, const char *value, size_t size) {
  return parse_number(value, size, MIN_MESSAGE_BYTES, UINT64_MAX, &p->config->max_inflight_bytes);
}

static bool set_cache(parser *p, const char *value, size_t size) {
  return parse_number(value, size, 0, UINT64_MAX, &p->config->cache_bytes);
}

static bool set_ms(double *ms, const char *value, size_t size) {
  uint64_t number = 0;
  bool good = parse_number(value, size, 1, MAX_MS, &number);
  *ms = (double)number;
  return good;
}

static bool set_threshold(parser *p, const char *value, size_t size) {
  return set_ms(&p->config->threshold_ms, value, size);
}

static bool set_tile_timeout(parser *p, const char *value, size_t size) {
  return set_ms(&p->config->tile_timeout_ms, value, size);
}

static bool set_check(parser *p, const char *value, size_t size) {
  p->config->check = tess_check_from_name(value, size);
  return p->config->check != TESS_CHECK_UNSPECIFIED;
}

/* A word without spaces. */
static bool set_word(char *word, size_t room, const char *value, size_t size) {
  if (size == 0 || size >= room) return false;
  for (size_t i = 0; i < size; i++)
    if (value[i] <= ' ' || value[i] > '~') return false;
  memcpy(word, value, size);
  word[size] = '\0';
  return true;
}

static bool set_engine(parser *p, const char *value, size_t size) {
  return set_word(p->config->engine, sizeof p->config->engine, value, size);
}

static bool set_control_key(parser *p, const char *value, size_t size) {
  return set_word(p->config->control_key, sizeof p->config->control_key, value, size);
}

static bool starts_with(const char *value, size_t size, const char *prefix) {
  size_t length = strlen(prefix);
  return size > length && memcmp(value, prefix, length) == 0;
}

bool tess_config_is_worker(const char *url, size_t *size) {
  if (*size > TESS_CONFIG_MAX_URL) return false;
  if (!starts_with(url, *size, "http://") && !starts_with(url, *size, "https://")) return false;
  for (size_t i = 0; i < *size; i++)
    if (url[i] <= ' ' || url[i] > '~') return false;
  while (*size > 0 && url[*size - 1] == '/')
    --*size;
  return true;
}

static bool add_worker(parser *p, const char *value, size_t size) {
  tess_config *c = p->config;
  if (c->worker_count == TESS_CONTROLLER_MAX_WORKERS) return false;
  if (!tess_config_is_worker(value, &size)) return false;
  for (uint32_t i = 0; i < c->worker_count; i++)
    if (strlen(c->workers[i]) == size && memcmp(c->workers[i], value, size) == 0) return false;
  if (c->worker_count == p->worker_capacity) {
    uint32_t capacity = p->worker_capacity == 0 ? 8 : p->worker_capacity * 2;
    char **workers = tess_arena_alloc(p->arena, capacity * sizeof *workers);
    if (workers == NULL) return false;
    if (c->worker_count > 0) memcpy(workers, c->workers, c->worker_count * sizeof *workers);
    c->workers = workers;
    p->worker_capacity = capacity;
  }
  char *url = tess_arena_strndup(p->arena, value, size);
  if (url == NULL) return false;
  c->workers[c->worker_count++] = url;
  return true;
}

static const struct {
  const char *name;
  bool repeated;
  bool (*set)(parser *p, const char *value, size_t size);
  const char *wants;
} keys[] = {
    {"mode", false, set_mode, "serial, proxy or adaptive"},
    {"worker", true, add_worker, "a URL http://host:port, once, of at most 255 characters"},
    {"max_message_bytes", false, set_max_message, "a number from 1024 to 4294967295"},
    {"max_inflight_bytes", false, set_max_inflight, "a number of at least 1024"},
    {"cache_bytes", false, set_cache, "a number of bytes; 0 keeps no blocks"},
    {"threshold_ms", false, set_threshold, "a number from 1 to 86400000"},
    {"tile_timeout_ms", false, set_tile_timeout, "a number from 1 to 86400000"},
    {"check", false, set_check, "never, always or adaptive"},
    {"engine", false, set_engine, "a word of at most 31 characters"},
    {"control_key", false, set_control_key, "a word of at most 63 characters"},
};
#define KEY_COUNT (sizeof keys / sizeof keys[0])

static tess_code parse_line(parser *p, const char *line, size_t size, uint32_t *seen) {
  const char *equals = memchr(line, '=', size);
  size_t name = equals != NULL ? (size_t)(equals - line) : size;
  for (size_t i = 0; i < KEY_COUNT; i++) {
    if (strlen(keys[i].name) != name || memcmp(keys[i].name, line, name) != 0) continue;
    if ((*seen >> i & 1) != 0 && !keys[i].repeated)
      return tess_status_set(p->status, TESS_INVALID_ARGUMENT, "configuration: %s is given twice",
                             keys[i].name);
    *seen |= (uint32_t)1 << i;
    if (equals == NULL || !keys[i].set(p, equals + 1, size - name - 1))
      return tess_status_set(p->status, TESS_INVALID_ARGUMENT, "configuration: %s must be %s",
                             keys[i].name, keys[i].wants);
    return TESS_OK;
  }
  return tess_status_set(p->status, TESS_INVALID_ARGUMENT, "configuration: unknown key \"%.*s\"",
                         (int)(name < 64 ? name : 64), line);
}

tess_code tess_config_parse(const char *text, size_t size, tess_arena *arena, tess_config *config,
                            tess_status *status) {
  *config = (tess_config){
      .max_message_bytes = DEFAULT_MAX_MESSAGE_BYTES,
      .max_inflight_bytes = DEFAULT_MAX_INFLIGHT_BYTES,
      .cache_bytes = DEFAULT_CACHE_BYTES,
      .threshold_ms = DEFAULT_THRESHOLD_MS,
      .tile_timeout_ms = DEFAULT_TILE_TIMEOUT_MS,
      .check = TESS_CHECK_ADAPTIVE,
      .engine = "native",
  };
  parser p = {.config = config, .arena = arena, .status = status};
  uint32_t seen = 0;
  while (size > 0) {
    const char *newline = memchr(text, '\n', size);
    size_t line = newline != NULL ? (size_t)(newline - text) : size;
    if (line > 0) {
      tess_code code = parse_line(&p, text, line, &seen);
      if (code != TESS_OK) return code;
    }
    size_t used = newline != NULL ? line + 1 : line;
    text += used;
    size -= used;
  }
  if (config->mode == TESS_MODE_UNSPECIFIED)
    config->mode = config->worker_count > 0 ? TESS_MODE_ADAPTIVE : TESS_MODE_SERIAL;
  return TESS_OK;
}
