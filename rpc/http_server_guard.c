/* SPDX-License-Identifier: Apache-2.0
 *
 * See http_server_guard.h.
 */
#include "rpc/http_server_guard.h"

#include <string.h>

/* What most of a head consists of is acceptable everywhere: looked at first. */
static bool is_common(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || c == '-' ||
         c == '.';
}

/* RFC 9110 5.6.2. */
static bool is_token_char(unsigned char c) {
  return is_common(c) || (c != 0 && strchr("!#$%&'*+^_`|~", c) != NULL);
}

static bool is_token(const char *text) {
  if (*text == 0) return false;
  for (; *text != 0; text++)
    if (!is_token_char((unsigned char)*text)) return false;
  return true;
}

static bool equals_nocase(const char *text, size_t size, const char *lower) {
  size_t i = 0;
  for (; i < size && lower[i] != 0; i++) {
    char c = text[i];
    if (c >= 'A' && c <= 'Z') c = (char)(c + ('a' - 'A'));
    if (c != lower[i]) return false;
  }
  return i == size && lower[i] == 0;
}

/* Is `lower` one of the comma-separated options? */
static bool has_option(const char *list, const char *lower) {
  while (*list != 0) {
    while (*list == ' ' || *list == '\t' || *list == ',')
      list++;
    size_t size = strcspn(list, ",");
    size_t trimmed = size;
    while (trimmed > 0 && (list[trimmed - 1] == ' ' || list[trimmed - 1] == '\t'))
      trimmed--;
    if (equals_nocase(list, trimmed, lower)) return true;
    list += size;
  }
  return false;
}

/* Only digits: no sign, no list, no space. -1: anything else, or over 2^63. */
static int64_t parse_content_length(const char *text) {
  int64_t value = 0;
  if (*text == 0) return -1;
  for (; *text != 0; text++) {
    if (*text < '0' || *text > '9') return -1;
    int digit = *text - '0';
    if (value > (INT64_MAX - digit) / 10) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/* A Host is a name, an address or [v6], and perhaps a port: no user info, no
 * path, no list. Empty is allowed by RFC 9112 3.2. */
static bool is_host(const char *text) {
  for (; *text != 0; text++) {
    unsigned char c = (unsigned char)*text;
    if (is_common(c) || c == ':') continue;
    if (c <= ' ' || c >= 127 || strchr("/\\@?#,\"<>^`{|}", c) != NULL) return false;
  }
  return true;
}

/* Visible ASCII, no fragment, no backslash; escapes are two hex digits and never
 * NUL; no dot segments, plain or escaped, because no method has them and some
 * proxy may resolve them. */
static bool is_target(const char *target) {
  if (target[0] != '/') return false;
  for (const char *p = target; *p != 0; p++) {
    unsigned char c = (unsigned char)*p;
    if (c <= ' ' || c >= 127 || c == '#' || c == '\\' || c == '"' || c == '<' || c == '>')
      return false;
    if (c == '%') {
      static const char hex[] = "0123456789abcdefABCDEF";
      if (p[1] == 0 || p[2] == 0 || strchr(hex, p[1]) == NULL || strchr(hex, p[2]) == NULL)
        return false;
      if (p[1] == '0' && p[2] == '0') return false;
    }
  }
  for (const char *p = target; (p = strchr(p, '/')) != NULL;) {
    p++;
    const char *q = p;
    int dots = 0;
    for (; dots < 3; dots++) {
      if (*q == '.')
        q++;
      else if (q[0] == '%' && q[1] == '2' && (q[2] == 'e' || q[2] == 'E'))
        q += 3;
      else
        break;
    }
    if ((dots == 1 || dots == 2) && (*q == '/' || *q == 0)) return false;
  }
  return true;
}

static bool is_field_value(const char *text, size_t size) {
  for (size_t i = 0; i < size; i++) {
    unsigned char c = (unsigned char)text[i];
    if ((c < ' ' && c != '\t') || c == 127) return false;
  }
  return true;
}

int tess__http_guard(const char *method, const char *target, const char *version,
                     tess_metadata_entry *entries, size_t count, tess__http_head *head,
                     const char **why) {
  const char *length_text = NULL, *connection = NULL;
  size_t hosts = 0, codings = 0, expects = 0;
  *why = NULL;
  memset(head, 0, sizeof *head);
  head->http10 = version[0] == '1' && version[1] == '.' && version[2] == '0';
  head->keep_alive = !head->http10;

#define REFUSE(code, text) \
  do {                     \
    *why = (text);         \
    return (code);         \
  } while (0)

  if (!is_token(method)) REFUSE(400, "bad method");
  /* "*" is the server as a whole (RFC 9112 3.2.4). */
  bool asterisk = strcmp(target, "*") == 0 && strcmp(method, "OPTIONS") == 0;
  if (!asterisk && !is_target(target)) REFUSE(400, "bad request target");

  for (size_t i = 0; i < count; i++) {
    tess_metadata_entry *entry = &entries[i];
    const char *name = entry->name, *value = entry->value;
    if (!is_token(name)) REFUSE(400, "bad header name");
    if (!is_field_value(value, entry->value_size)) REFUSE(400, "bad header value");
    /* Few headers matter here: tell them apart by length and first letter. */
    switch (name[0]) {
      case 'c':
        if (strcmp(name, "content-length") == 0) {
          if (length_text != NULL) REFUSE(400, "two Content-Length headers");
          length_text = value;
        } else if (strcmp(name, "connection") == 0 && connection == NULL) {
          connection = value;
        }
        break;
      case 't':
        if (strcmp(name, "transfer-encoding") == 0) {
          codings++;
          if (!equals_nocase(value, entry->value_size, "chunked"))
            REFUSE(501, "unknown transfer coding");
        }
        break;
      case 'h':
        if (strcmp(name, "host") == 0) {
          hosts++;
          if (!is_host(value)) REFUSE(400, "bad Host header");
        }
        break;
      case 'e':
        if (strcmp(name, "expect") == 0) {
          expects++;
          if (!equals_nocase(value, entry->value_size, "100-continue"))
            REFUSE(417, "unknown expectation");
        }
        break;
      case 'o':
        if (strcmp(name, "origin") == 0) head->origin = value;
        break;
      case 'i':
        if (strcmp(name, "if-none-match") == 0) head->if_none_match = value;
        break;
      case 'a':
        if (strcmp(name, "access-control-request-method") == 0) head->cors_method = value;
        if (strcmp(name, "access-control-request-headers") == 0) head->cors_headers = value;
        break;
      default:
        break;
    }
  }

  if (hosts > 1 || (hosts == 0 && !head->http10)) REFUSE(400, "needs exactly one Host header");
  if (codings > 1) REFUSE(400, "two Transfer-Encoding headers");
  if (codings == 1 && length_text != NULL) REFUSE(400, "both Transfer-Encoding and Content-Length");
  if (codings == 1 && head->http10) REFUSE(400, "Transfer-Encoding in HTTP/1.0");
  if (codings == 1) {
    head->content_length = -1;
  } else if (length_text != NULL) {
    head->content_length = parse_content_length(length_text);
    if (head->content_length < 0) REFUSE(400, "bad Content-Length");
  }
#undef REFUSE

  /* Without a body, and for HTTP/1.0, there is nothing to expect. */
  head->expect_continue = expects > 0 && !head->http10 && head->content_length != 0;
  if (connection != NULL) {
    /* civetweb keeps a connection with this header only for "keep-alive". */
    head->keep_alive = has_option(connection, "keep-alive") && !has_option(connection, "close");
  }
  return 0;
}
