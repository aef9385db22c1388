/* SPDX-License-Identifier: Apache-2.0 */
#include "program/worker_set.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_DNS_MS 10000
#define LEAST_DNS_MS 1000
#define ADDRESS_BYTES (INET6_ADDRSTRLEN + 16)

static const char dns_prefix[] = "dns+";

/* A name, and where it led at the last lookup that succeeded. */
typedef struct name {
  char *url; /* without the prefix */
  int64_t looked_ms;
  bool looked;
  bool failing; /* told */
  bool used;    /* by the list of this look */
  char addresses[PROGRAM_MAX_ADDRESSES][ADDRESS_BYTES];
  size_t count;
} name;

struct program_worker_set_inside {
  program_worker_set_options options;
  program_worker_list file;
  program_file_mark mark;
  name *names[PROGRAM_MAX_NAMES];
  size_t name_count;
  char *urls[PROGRAM_MAX_WORKERS];
  bool full; /* told that there were too many */
};

static void tell(const struct program_worker_set_inside *s, const char *what, const char *why) {
  char line[512];
  if (s->options.tell == NULL) return;
  snprintf(line, sizeof line, "%s%s", what, why);
  s->options.tell(s->options.ctx, line);
}

/* ---- names ---- */

/* The parts of "http://HOST[:PORT][/PREFIX]": the host, of an address without its brackets,
 * and what follows it. */
static bool split_url(const char *url, char host[256], const char **rest) {
  static const char scheme[] = "http://";
  if (strncmp(url, scheme, sizeof scheme - 1) != 0) return false;
  const char *at = url + sizeof scheme - 1;
  const bool address = *at == '[';
  if (address) at++;
  size_t size = strcspn(at, address ? "]" : ":/");
  if (size == 0 || size > 255) return false;
  memcpy(host, at, size);
  host[size] = '\0';
  *rest = at + size;
  if (address && **rest == ']') ++*rest;
  return true;
}

static void add_address(void *to, const char *address) {
  name *n = to;
  char *text = n->addresses[n->count < PROGRAM_MAX_ADDRESSES ? n->count : 0];
  if (n->count == PROGRAM_MAX_ADDRESSES || strlen(address) + 3 > ADDRESS_BYTES) return;
  /* A scope ("%eth0") has no place in a URL. */
  if (strchr(address, '%') != NULL) return;
  snprintf(text, ADDRESS_BYTES, strchr(address, ':') != NULL ? "[%s]" : "%s", address);
  for (size_t i = 0; i < n->count; i++)
    if (strcmp(n->addresses[i], text) == 0) return;
  n->count++;
}

/* The order of answers changes from time to time, and means nothing. */
static int compare_addresses(const void *a, const void *b) {
  return strcmp(a, b);
}

static void look_up(struct program_worker_set_inside *s, name *n) {
  char host[256];
  const char *rest = NULL;
  const tess_resolver *r = &s->options.resolver;
  name *found = calloc(1, sizeof *found);
  bool good = found != NULL && split_url(n->url, host, &rest) &&
              r->resolve(r->ctx, host, add_address, found) && found->count > 0;
  if (good) {
    qsort(found->addresses, found->count, sizeof found->addresses[0], compare_addresses);
    memcpy(n->addresses, found->addresses, sizeof n->addresses);
    n->count = found->count;
  } else if (!n->failing) {
    tell(s, n->url,
         n->count > 0 ? ": the name is not found any more; its addresses stay"
                      : ": the name is not found; it is looked up again");
  }
  n->failing = !good;
  free(found);
}

static name *find_name(struct program_worker_set_inside *s, const char *url) {
  for (size_t i = 0; i < s->name_count; i++)
    if (strcmp(s->names[i]->url, url) == 0) return s->names[i];
  if (s->name_count == PROGRAM_MAX_NAMES) return NULL;
  name *n = calloc(1, sizeof *n);
  if (n == NULL || (n->url = strdup(url)) == NULL) {
    free(n);
    return NULL;
  }
  s->names[s->name_count++] = n;
  return n;
}

static void forget_unused_names(struct program_worker_set_inside *s) {
  size_t kept = 0;
  for (size_t i = 0; i < s->name_count; i++) {
    if (s->names[i]->used) {
      s->names[kept++] = s->names[i];
      continue;
    }
    free(s->names[i]->url);
    free(s->names[i]);
  }
  s->name_count = kept;
}

/* ---- the list ---- */

typedef struct building {
  struct program_worker_set_inside *set;
  char **urls; /* room for PROGRAM_MAX_WORKERS */
  size_t count;
  bool too_many;
  int64_t now_ms;
  unsigned what;
} building;

static void add_url(building *b, const char *url) {
  size_t size = strlen(url);
  while (size > 0 && url[size - 1] == '/')
    size--;
  for (size_t i = 0; i < b->count; i++)
    if (strlen(b->urls[i]) == size && memcmp(b->urls[i], url, size) == 0) return;
  char *copy = b->count < PROGRAM_MAX_WORKERS ? strndup(url, size) : NULL;
  if (copy == NULL)
    b->too_many = true;
  else
    b->urls[b->count++] = copy;
}

static void add_name(building *b, const char *url) {
  struct program_worker_set_inside *s = b->set;
  name *n = find_name(s, url);
  if (n == NULL) {
    b->too_many = true;
    return;
  }
  n->used = true;
  const int64_t age_ms = b->now_ms - n->looked_ms;
  const bool asked = (b->what & PROGRAM_LOOK_NAMES) != 0 && age_ms >= LEAST_DNS_MS;
  if (!n->looked || age_ms >= s->options.dns_ms || asked) {
    look_up(s, n);
    n->looked = true;
    n->looked_ms = b->now_ms;
  }
  char host[256], full[PROGRAM_MAX_WORKER_URL + 64];
  const char *rest = NULL;
  if (!split_url(n->url, host, &rest)) return;
  for (size_t i = 0; i < n->count; i++) {
    snprintf(full, sizeof full, "http://%s%s", n->addresses[i], rest);
    add_url(b, full);
  }
}

static void add_source(building *b, const char *url) {
  if (strncmp(url, dns_prefix, sizeof dns_prefix - 1) == 0)
    add_name(b, url + sizeof dns_prefix - 1);
  else
    add_url(b, url);
}

static void read_again(struct program_worker_set_inside *s) {
  char why[384];
  program_worker_list list;
  if (program_worker_list_read(&list, s->options.file, why, sizeof why)) {
    program_worker_list_cleanup(&s->file);
    s->file = list;
  } else {
    tell(s, why, "; the list stays as it was");
  }
}

bool program_worker_set_look(program_worker_set *set, int64_t now_ms, unsigned what) {
  struct program_worker_set_inside *s = set->inside;
  char *urls[PROGRAM_MAX_WORKERS];
  building b = {.set = s, .urls = urls, .now_ms = now_ms, .what = what};
  if (s->options.file != NULL &&
      (program_file_changed(&s->mark, s->options.file) || (what & PROGRAM_LOOK_FILE) != 0))
    read_again(s);
  for (size_t i = 0; i < s->name_count; i++)
    s->names[i]->used = false;
  for (size_t i = 0; i < s->options.url_count; i++)
    add_source(&b, s->options.urls[i]);
  for (size_t i = 0; i < s->file.count; i++)
    add_source(&b, s->file.urls[i]);
  forget_unused_names(s);
  if (b.too_many && !s->full)
    tell(s, "more than 1024 workers or 64 names: the rest is left out", "");
  s->full = b.too_many;
  bool same = b.count == set->count;
  for (size_t i = 0; i < b.count && same; i++)
    same = strcmp(urls[i], s->urls[i]) == 0;
  for (size_t i = 0; i < (same ? b.count : set->count); i++)
    free(same ? urls[i] : s->urls[i]);
  if (same) return false;
  memcpy(s->urls, urls, b.count * sizeof *urls);
  set->count = b.count;
  return true;
}

program_worker_set *program_worker_set_new(const program_worker_set_options *options, char *why,
                                           size_t why_size) {
  program_worker_set *set = calloc(1, sizeof *set);
  struct program_worker_set_inside *s = calloc(1, sizeof *s);
  if (set == NULL || s == NULL) {
    free(set);
    free(s);
    snprintf(why, why_size, "no memory");
    return NULL;
  }
  set->inside = s;
  set->urls = (const char *const *)s->urls;
  s->options = *options;
  if (s->options.dns_ms <= 0) s->options.dns_ms = DEFAULT_DNS_MS;
  if (s->options.resolver.resolve == NULL) s->options.resolver = tess_resolver_system;
  if (options->file == NULL) return set;
  program_file_changed(&s->mark, options->file); /* before it is read: no change is missed */
  if (program_worker_list_read(&s->file, options->file, why, why_size)) return set;
  program_worker_set_free(set);
  return NULL;
}

void program_worker_set_free(program_worker_set *set) {
  if (set == NULL) return;
  struct program_worker_set_inside *s = set->inside;
  for (size_t i = 0; i < s->name_count; i++)
    s->names[i]->used = false;
  forget_unused_names(s);
  for (size_t i = 0; i < set->count; i++)
    free(s->urls[i]);
  program_worker_list_cleanup(&s->file);
  free(s);
  free(set);
}
