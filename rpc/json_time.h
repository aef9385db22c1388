/* SPDX-License-Identifier: Apache-2.0
 *
 * Timestamps and durations as text: RFC 3339, and seconds with a final "s".
 * Source: google/protobuf/timestamp.proto, duration.proto.
 */
#ifndef TESSERA_RPC_JSON_TIME_H
#define TESSERA_RPC_JSON_TIME_H

#include <stdbool.h>
#include <stdint.h>

/* Longest text of either, with its NUL. */
#define TESS__TIME_TEXT_BYTES 40

typedef struct tess__time {
  int64_t seconds;
  int32_t nanos;
} tess__time;

/* Years 1 to 9999. */
bool tess__timestamp_parse(const char *text, tess__time *time);
bool tess__timestamp_format(tess__time time, char text[TESS__TIME_TEXT_BYTES]);
/* At most 10,000 years either way; nanos have the sign of seconds. */
bool tess__duration_parse(const char *text, tess__time *time);
bool tess__duration_format(tess__time time, char text[TESS__TIME_TEXT_BYTES]);

#endif
